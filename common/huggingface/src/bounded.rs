//! Work on a thread of its own whose stack, memory and time are bounded, for code that is not trusted to bound itself. Time is
//! what the processor spends on it: a machine with other work, or a process that was stopped for an hour, makes none longer.
//!
//! There is no way back out of an allocation in Rust: it succeeds or ends the process. So a thread that wants more than its
//! limit is stopped for good where it is, without the memory it asked for, and whoever waits for it is told. The thread and what
//! it holds stay until the process ends, which soon happens: what it worked on is refused.

use crate::boundary::caught;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::os::unix::thread::JoinHandleExt;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

#[derive(Clone)]
pub struct Limits {
    pub stack_bytes: usize,
    pub heap_bytes: isize,
    pub time: Duration,
}

/// How often a waiting thread looks whether another was stopped.
const PAUSE: Duration = Duration::from_millis(20);
/// Five minutes in which a thread has had no time at all: it waits for a disk that is gone, or for one that was stopped.
const MOST_IDLE_PAUSES: usize = 15_000;

/// What a bounded thread says of itself. It alone writes, whoever waits for it reads.
#[repr(align(128))] // nothing that other threads write is beside it
struct Account {
    heap_bytes: AtomicIsize,
    heap_left: AtomicIsize,
    exhausted: AtomicBool,
    tasks: AtomicUsize,
    place: AtomicUsize,
}

thread_local! {
    /// Of a bounded thread, which holds it in an Arc for as long as this is set.
    static ACCOUNT: Cell<*const Account> = const { Cell::new(std::ptr::null()) };
}

/// Of the thread that asks, if it is a bounded one.
fn own_account<'a>() -> Option<&'a Account> {
    // The variable is gone while a thread ends; that one has no limit any more.
    let account = ACCOUNT.try_with(Cell::get).unwrap_or(std::ptr::null());
    // Safety: it is set only while the thread holds the Arc.
    unsafe { account.as_ref() }
}

/// A bounded thread says that its next task begins: one with memory and time of its own.
pub fn begin_task(heap_bytes: isize) {
    let Some(account) = own_account() else { return };
    account.heap_bytes.store(heap_bytes, Ordering::Relaxed);
    account.heap_left.store(heap_bytes, Ordering::Relaxed);
    account.tasks.fetch_add(1, Ordering::Relaxed);
}

/// A bounded thread says in which part of its task it is, a number that whoever waits has a name for.
pub fn enter(place: usize) {
    if let Some(account) = own_account() {
        account.place.store(place, Ordering::Relaxed);
    }
}

/// The system's allocator, which threads with an `ACCOUNT` may use up to their limit.
struct BoundedAllocator;

#[global_allocator]
static ALLOCATOR: BoundedAllocator = BoundedAllocator;

impl BoundedAllocator {
    fn charge(bytes: isize) {
        let Some(account) = own_account() else { return };
        let left = account.heap_left.load(Ordering::Relaxed) - bytes;
        account.heap_left.store(left, Ordering::Relaxed);
        if left < 0 && bytes > 0 {
            account.exhausted.store(true, Ordering::Release);
            loop {
                // Safety: it does nothing but wait for a signal.
                unsafe { libc::pause() };
            }
        }
    }
}

// Safety: memory is the system's; a charge allocates nothing and never unwinds.
unsafe impl GlobalAlloc for BoundedAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::charge(layout.size() as isize);
        System.alloc(layout)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::charge(layout.size() as isize);
        System.alloc_zeroed(layout)
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        System.dealloc(memory, layout);
        Self::charge(-(layout.size() as isize));
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::charge(size as isize - layout.size() as isize);
        System.realloc(memory, layout, size)
    }
}

/// A thread of its own, for as long as it works.
pub struct BoundedThread {
    account: Arc<Account>,
    thread: JoinHandle<()>,
    limits: Limits,
}

impl BoundedThread {
    pub fn spawn(limits: Limits, work: impl FnOnce() + Send + 'static) -> Result<Self, String> {
        let account = Arc::new(Account {
            heap_bytes: AtomicIsize::new(limits.heap_bytes),
            heap_left: AtomicIsize::new(limits.heap_bytes),
            exhausted: AtomicBool::new(false),
            tasks: AtomicUsize::new(0),
            place: AtomicUsize::new(0),
        });
        let own = account.clone();
        let bounded = move || {
            ACCOUNT.set(Arc::as_ptr(&own));
            // Whoever waits finds that nothing comes any more.
            let _ = caught(work);
            ACCOUNT.set(std::ptr::null());
        };
        let thread = std::thread::Builder::new().stack_size(limits.stack_bytes).spawn(bounded);
        let thread = thread.map_err(|fault| format!("a thread with a stack of {} bytes: {fault}", limits.stack_bytes))?;
        Ok(BoundedThread { account, thread, limits })
    }

    /// What the thread sends next, or why nothing comes. The time of the limits is for this one value, and for each task that
    /// begins meanwhile.
    pub fn receive<T>(&self, receiver: &Receiver<T>) -> Result<T, String> {
        let mut task = self.account.tasks.load(Ordering::Relaxed);
        let mut begin = self.processor_time();
        let (mut seen, mut idle_pauses) = (begin, 0);
        loop {
            match receiver.recv_timeout(PAUSE) {
                Ok(value) => return Ok(value),
                Err(RecvTimeoutError::Disconnected) => return Err("the library gave up".into()),
                Err(RecvTimeoutError::Timeout) if self.account.exhausted.load(Ordering::Acquire) => {
                    let most = self.account.heap_bytes.load(Ordering::Relaxed) >> 20;
                    return Err(format!("takes more than {most} MiB of memory"));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = self.processor_time();
            idle_pauses = if now == seen { idle_pauses + 1 } else { 0 };
            seen = now;
            if idle_pauses >= MOST_IDLE_PAUSES {
                return Err("stands still".into());
            }
            let newest = self.account.tasks.load(Ordering::Relaxed);
            if newest != task {
                (task, begin) = (newest, now);
            } else if now.saturating_sub(begin) >= self.limits.time {
                return Err(format!("takes longer than {} s", self.limits.time.as_secs_f64()));
            }
        }
    }

    /// The part of its task that the thread has entered last.
    pub fn place(&self) -> usize {
        self.account.place.load(Ordering::Relaxed)
    }

    /// What the processor has spent on the thread; nothing where it has ended.
    fn processor_time(&self) -> Duration {
        let mut clock: libc::clockid_t = 0;
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // Safety: the handle is valid until the thread is joined, which takes `self`.
        let is_known = unsafe {
            libc::pthread_getcpuclockid(self.thread.as_pthread_t(), &mut clock) == 0
                && libc::clock_gettime(clock, &mut time) == 0
        };
        if is_known { Duration::new(time.tv_sec as u64, time.tv_nsec as u32) } else { Duration::ZERO }
    }

    pub fn join(self) {
        let _ = self.thread.join();
    }
}

/// What `work` gives, or why it did not end.
pub fn run<T: Send + 'static>(limits: &Limits, work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let (sender, receiver) = channel();
    // Whoever waited may have given up.
    let thread = BoundedThread::spawn(limits.clone(), move || drop(sender.send(caught(work))))?;
    let result = thread.receive(&receiver)?;
    thread.join();
    result
}
