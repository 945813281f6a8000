//! Work on a thread of its own whose stack, memory and time are bounded, for code that is not trusted to bound itself.
//!
//! There is no way back out of an allocation in Rust: it succeeds or ends the process. So a thread that wants more than its
//! limit is stopped for good where it is, without the memory it asked for, and whoever waits for it is told. The thread and what
//! it holds stay until the process ends, which soon happens: what it worked on is refused.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

#[derive(Clone)]
pub struct Limits {
    pub stack_bytes: usize,
    pub heap_bytes: isize,
    pub time: Duration,
}

/// How often a waiting thread looks whether another was stopped.
const PAUSE: Duration = Duration::from_millis(20);

struct Heap {
    left: AtomicIsize,
    exhausted: AtomicBool,
}

thread_local! {
    /// Of a bounded thread, which holds it in an Arc for as long as this is set.
    static HEAP: Cell<*const Heap> = const { Cell::new(std::ptr::null()) };
}

/// The system's allocator, which threads with a `HEAP` may use up to their limit.
struct BoundedAllocator;

#[global_allocator]
static ALLOCATOR: BoundedAllocator = BoundedAllocator;

impl BoundedAllocator {
    fn charge(bytes: isize) {
        // The variable is gone while a thread ends; that one has no limit any more.
        let heap = HEAP.try_with(Cell::get).unwrap_or(std::ptr::null());
        if heap.is_null() {
            return;
        }
        // Safety: it is set only while the thread holds the Arc.
        let heap = unsafe { &*heap };
        if heap.left.fetch_sub(bytes, Ordering::Relaxed) < bytes {
            heap.exhausted.store(true, Ordering::Release);
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
    heap: Arc<Heap>,
    thread: JoinHandle<()>,
    limits: Limits,
}

impl BoundedThread {
    pub fn spawn(limits: Limits, work: impl FnOnce() + Send + 'static) -> Result<Self, String> {
        let heap = Arc::new(Heap { left: AtomicIsize::new(limits.heap_bytes), exhausted: AtomicBool::new(false) });
        let own = heap.clone();
        let bounded = move || {
            HEAP.set(Arc::as_ptr(&own));
            // Whoever waits finds that nothing comes any more.
            let _ = catch_unwind(AssertUnwindSafe(work));
            HEAP.set(std::ptr::null());
        };
        let thread = std::thread::Builder::new().stack_size(limits.stack_bytes).spawn(bounded);
        let thread = thread.map_err(|fault| format!("a thread with a stack of {} bytes: {fault}", limits.stack_bytes))?;
        Ok(BoundedThread { heap, thread, limits })
    }

    /// What the thread sends next, or why nothing comes. The time of the limits is for this one value.
    pub fn receive<T>(&self, receiver: &Receiver<T>) -> Result<T, String> {
        let end = Instant::now() + self.limits.time;
        loop {
            match receiver.recv_timeout(PAUSE) {
                Ok(value) => return Ok(value),
                Err(RecvTimeoutError::Disconnected) => return Err("the library gave up".into()),
                Err(RecvTimeoutError::Timeout) if self.heap.exhausted.load(Ordering::Acquire) => {
                    return Err(format!("takes more than {} MiB of memory", self.limits.heap_bytes >> 20));
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() >= end => {
                    return Err(format!("takes longer than {} s", self.limits.time.as_secs()));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn join(self) {
        let _ = self.thread.join();
    }
}

/// What `work` gives, or why it did not end.
pub fn run<T: Send + 'static>(limits: &Limits, work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let (sender, receiver) = channel();
    // Whoever waited may have given up.
    let thread = BoundedThread::spawn(limits.clone(), move || drop(sender.send(work())))?;
    let result = thread.receive(&receiver)?;
    thread.join();
    Ok(result)
}
