// LD_PRELOAD: cuts the power of rank 0 at one of its operations that order what is on the disk. What it had written
// since the last sync of a file is lost then, as are new names since the last sync of their folder, and the process is
// killed.
//
//   EQUIPOISE_CRASH_BELOW   folder whose files count, absolute
//   EQUIPOISE_CRASH_NAMED   a word: of these only operations on paths that have it count
//   EQUIPOISE_CRASH_AT      before this operation, from 0: fsync, fdatasync, rename, unlinkat
//   EQUIPOISE_CRASH_EACH    set: write, writev, pwrite, link, mkdir and unlink are such operations too
//   EQUIPOISE_CRASH_KILLS   set: the process is killed, what it has written stays, and a write under way is half done
//   EQUIPOISE_CRASH_WHILE   a file: operations count only while it is there
//   EQUIPOISE_CRASH_ONCE    a file that is made at the crash: once it is there, nothing happens
//   EQUIPOISE_CRASH_PROGRAM its name, absent: equipoise-worker
//   EQUIPOISE_FAIL_WITH     a value of errno: the power stays, and this operation alone fails, as with a bad disk
//
// Files of other processes count as synced as they are when this one starts: for runs on one rank.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct synced_file {
  char path[PATH_MAX];
  off_t size;
};
struct unsynced_rename {
  char from[PATH_MAX], to[PATH_MAX];  // from nowhere: the name is new
};

static const char* below;  // NULL: this process is not the one
static const char* named;  // NULL: all count
static const char* while_there;  // NULL: always
static const char* once;
static int counts_each, kills;
static long left;
static int fail_with;  // 0: the power is cut
static struct synced_file* files;
static size_t num_files;
static struct unsynced_rename* renames;
static size_t num_renames;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_rename)(const char*, const char*);
static int (*real_unlinkat)(int, const char*, int);
static int (*real_unlink)(const char*);
static int (*real_link)(const char*, const char*);
static int (*real_mkdir)(const char*, mode_t);
static ssize_t (*real_write)(int, const void*, size_t);
static ssize_t (*real_writev)(int, const struct iovec*, int);
static ssize_t (*real_pwrite)(int, const void*, size_t, off_t);

static int counts(const char* path) { return below != NULL && strncmp(path, below, strlen(below)) == 0; }

static struct synced_file* find(const char* path) {
  for (size_t i = 0; i < num_files; ++i) {
    if (strcmp(files[i].path, path) == 0) return &files[i];
  }
  return NULL;
}

static void set_synced(const char* path, off_t size) {
  struct synced_file* file = find(path);
  if (file == NULL) {
    files = realloc(files, (num_files + 1) * sizeof *files);
    if (files == NULL) abort();
    file = &files[num_files++];
    snprintf(file->path, sizeof file->path, "%s", path);
  }
  file->size = size;
}

static int note_existing(const char* path, const struct stat* status, int kind, struct FTW* where) {
  (void)where;
  if (kind == FTW_F) set_synced(path, status->st_size);
  return 0;
}

static int lose_unsynced(const char* path, const struct stat* status, int kind, struct FTW* where) {
  (void)where;
  if (kind != FTW_F) return 0;
  const struct synced_file* file = find(path);
  const off_t kept = file == NULL ? 0 : file->size;
  return status->st_size > kept ? truncate(path, kept) : 0;
}

// The names of files in a folder that moves move with it.
static void move_names(const char* from, const char* to) {
  const size_t length = strlen(from);
  for (size_t i = 0; i < num_files; ++i) {
    char* path = files[i].path;
    if (strncmp(path, from, length) != 0 || (path[length] != '\0' && path[length] != '/')) continue;
    char moved[2 * PATH_MAX];
    snprintf(moved, sizeof moved, "%s%s", to, path + length);
    moved[PATH_MAX - 1] = '\0';
    strcpy(path, moved);
  }
}

static void lose_names(void) {
  while (num_renames > 0) {
    const struct unsynced_rename* last = &renames[--num_renames];
    if (last->from[0] == '\0') {
      remove(last->to);
    } else if (real_rename(last->to, last->from) == 0) {
      move_names(last->to, last->from);
    }
  }
}

static void crash(void) {
  if (!kills) {
    lose_names();
    nftw(below, lose_unsynced, 16, FTW_PHYS);
  }
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

// Whether it is this one that the crash comes before.
static int is_reached(const char* path) {
  if (named != NULL && strstr(path, named) == NULL) return 0;
  if (while_there != NULL && access(while_there, F_OK) != 0) return 0;
  if (left-- != 0) return 0;
  if (once == NULL) return 1;
  const int marker = open(once, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (marker >= 0) close(marker);
  return marker >= 0;
}

// Whether this one fails, with errno.
static int count_operation(const char* path) {
  if (!is_reached(path)) return 0;
  if (fail_with == 0) crash();
  errno = fail_with;
  return 1;
}

static void folder_of(const char* path, char* folder) {
  snprintf(folder, PATH_MAX, "%s", path);
  char* slash = strrchr(folder, '/');
  if (slash != NULL) *slash = '\0';
}

static void forget_renames_in(const char* folder) {
  size_t kept = 0;
  for (size_t i = 0; i < num_renames; ++i) {
    char parent[PATH_MAX];
    folder_of(renames[i].to, parent);
    if (strcmp(parent, folder) != 0) renames[kept++] = renames[i];
  }
  num_renames = kept;
}

static void note_name(const char* from, const char* to) {
  renames = realloc(renames, (num_renames + 1) * sizeof *renames);
  if (renames == NULL) abort();
  snprintf(renames[num_renames].from, PATH_MAX, "%s", from);
  snprintf(renames[num_renames].to, PATH_MAX, "%s", to);
  ++num_renames;
}

// Other libraries may write before begin().
static void find_real(void) {
  *(void**)&real_fsync = dlsym(RTLD_NEXT, "fsync");
  *(void**)&real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  *(void**)&real_rename = dlsym(RTLD_NEXT, "rename");
  *(void**)&real_unlinkat = dlsym(RTLD_NEXT, "unlinkat");
  *(void**)&real_unlink = dlsym(RTLD_NEXT, "unlink");
  *(void**)&real_link = dlsym(RTLD_NEXT, "link");
  *(void**)&real_mkdir = dlsym(RTLD_NEXT, "mkdir");
  *(void**)&real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
  *(void**)&real_write = dlsym(RTLD_NEXT, "write");
  *(void**)&real_writev = dlsym(RTLD_NEXT, "writev");
}

__attribute__((constructor)) static void begin(void) {
  find_real();
  const char* at = getenv("EQUIPOISE_CRASH_AT");
  const char* folder = getenv("EQUIPOISE_CRASH_BELOW");
  const char* rank = getenv("OMPI_COMM_WORLD_RANK");
  const char* program = getenv("EQUIPOISE_CRASH_PROGRAM");
  const char* fault = getenv("EQUIPOISE_FAIL_WITH");
  if (program == NULL) program = "equipoise-worker";
  if (at == NULL || folder == NULL || strcmp(program_invocation_short_name, program) != 0) return;
  if (strcmp(program, "equipoise-worker") == 0 && (rank == NULL || strcmp(rank, "0") != 0)) return;
  left = atol(at);
  fail_with = fault == NULL ? 0 : atoi(fault);
  named = getenv("EQUIPOISE_CRASH_NAMED");
  while_there = getenv("EQUIPOISE_CRASH_WHILE");
  once = getenv("EQUIPOISE_CRASH_ONCE");
  counts_each = getenv("EQUIPOISE_CRASH_EACH") != NULL;
  kills = getenv("EQUIPOISE_CRASH_KILLS") != NULL;
  below = folder;
  nftw(below, note_existing, 16, FTW_PHYS);
}

// Whether `descriptor` is of a file that counts; `path` is its name then.
static int names_counted(int descriptor, char* path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = below == NULL ? -1 : readlink(link, path, PATH_MAX - 1);
  if (length < 0) return 0;
  path[length] = '\0';
  return counts(path);
}

static int sync_descriptor(int descriptor, int (*real)(int)) {
  char path[PATH_MAX];
  if (!names_counted(descriptor, path)) return real(descriptor);
  pthread_mutex_lock(&mutex);
  const int outcome = count_operation(path) ? -1 : real(descriptor);
  const int cause = errno;
  struct stat status;
  if (outcome == 0 && fstat(descriptor, &status) == 0) {
    if (S_ISDIR(status.st_mode)) {
      forget_renames_in(path);
    } else {
      set_synced(path, status.st_size);
    }
  }
  pthread_mutex_unlock(&mutex);
  errno = cause;
  return outcome;
}

int fsync(int descriptor) { return sync_descriptor(descriptor, real_fsync); }
int fdatasync(int descriptor) { return sync_descriptor(descriptor, real_fdatasync); }

// `half` writes the first half of the bytes.
static int fails_at_write(int descriptor, void (*half)(int, const void*, size_t, off_t), const void* bytes, size_t size,
                          off_t place) {
  char path[PATH_MAX];
  const int saved = errno;
  if (!counts_each || !names_counted(descriptor, path)) {
    errno = saved;
    return 0;
  }
  pthread_mutex_lock(&mutex);
  const int reached = is_reached(path);
  if (reached && fail_with == 0) {
    if (kills) half(descriptor, bytes, size / 2, place);
    crash();
  }
  pthread_mutex_unlock(&mutex);
  errno = reached ? fail_with : saved;
  return reached;
}

static void begin_write(int descriptor, const void* bytes, size_t size, off_t place) {
  (void)place;
  const ssize_t ignored = real_write(descriptor, bytes, size);
  (void)ignored;
}

static void begin_pwrite(int descriptor, const void* bytes, size_t size, off_t place) {
  const ssize_t ignored = real_pwrite(descriptor, bytes, size, place);
  (void)ignored;
}

ssize_t write(int descriptor, const void* bytes, size_t size) {
  if (real_write == NULL) find_real();
  if (fails_at_write(descriptor, begin_write, bytes, size, 0)) return -1;
  return real_write(descriptor, bytes, size);
}

ssize_t writev(int descriptor, const struct iovec* parts, int count) {
  if (real_writev == NULL) find_real();
  if (count > 0 && fails_at_write(descriptor, begin_write, parts[0].iov_base, parts[0].iov_len, 0)) return -1;
  return real_writev(descriptor, parts, count);
}

ssize_t pwrite(int descriptor, const void* bytes, size_t size, off_t place) {
  if (fails_at_write(descriptor, begin_pwrite, bytes, size, place)) return -1;
  return real_pwrite(descriptor, bytes, size, place);
}

ssize_t pwrite64(int descriptor, const void* bytes, size_t size, off64_t place) {
  return pwrite(descriptor, bytes, size, place);
}

int rename(const char* from, const char* to) {
  if (!counts(from)) return real_rename(from, to);
  pthread_mutex_lock(&mutex);
  struct stat status;
  const int replaces = lstat(to, &status) == 0;
  const int outcome = count_operation(from) ? -1 : real_rename(from, to);
  const int cause = errno;
  if (outcome == 0) {
    move_names(from, to);
    // What stood there before is gone: such a rename cannot be taken back.
    if (!replaces) note_name(from, to);
  }
  pthread_mutex_unlock(&mutex);
  errno = cause;
  return outcome;
}

int link(const char* from, const char* to) {
  if (!counts_each || !counts(to)) return real_link(from, to);
  pthread_mutex_lock(&mutex);
  const int outcome = count_operation(to) ? -1 : real_link(from, to);
  const int cause = errno;
  if (outcome == 0) {
    const struct synced_file* file = find(from);
    set_synced(to, file == NULL ? 0 : file->size);
    note_name("", to);
  }
  pthread_mutex_unlock(&mutex);
  errno = cause;
  return outcome;
}

int mkdir(const char* path, mode_t mode) {
  if (real_mkdir == NULL) find_real();
  if (!counts_each || !counts(path)) return real_mkdir(path, mode);
  pthread_mutex_lock(&mutex);
  const int outcome = count_operation(path) ? -1 : real_mkdir(path, mode);
  const int cause = errno;
  if (outcome == 0) note_name("", path);
  pthread_mutex_unlock(&mutex);
  errno = cause;
  return outcome;
}

int unlink(const char* path) {
  if (real_unlink == NULL) find_real();
  if (!counts_each || !counts(path)) return real_unlink(path);
  pthread_mutex_lock(&mutex);
  const int outcome = count_operation(path) ? -1 : real_unlink(path);
  const int cause = errno;
  pthread_mutex_unlock(&mutex);
  errno = cause;
  return outcome;
}

int unlinkat(int folder, const char* name, int flags) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
  ssize_t length = below == NULL || name[0] == '/' ? -1 : readlink(link, path, sizeof path - 1);
  if (length >= 0) path[length] = '\0';
  const char* where = name[0] == '/' ? name : (length >= 0 ? path : "");
  if (!counts(where)) return real_unlinkat(folder, name, flags);
  pthread_mutex_lock(&mutex);
  const int outcome = count_operation(where) ? -1 : real_unlinkat(folder, name, flags);
  const int cause = errno;
  pthread_mutex_unlock(&mutex);
  errno = cause;
  return outcome;
}
