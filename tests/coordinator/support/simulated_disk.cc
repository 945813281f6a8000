#include "tests/coordinator/support/simulated_disk.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace equipoise::coordinator {
namespace {

constexpr std::size_t kSectorBytes = 512;  // the least that a disk writes whole

}  // namespace

// SQLite gives the memory; it begins with what SQLite knows of it.
struct SimulatedDisk::Handle {
  sqlite3_file base;
  SimulatedDisk* disk;
  std::shared_ptr<File>* file;
  std::string* name;  // to be deleted when it is closed; null: it stays
};

// What SQLite calls, with its names: https://www.sqlite.org/c3ref/io_methods.html
struct SimulatedDisk::Methods {
  static Handle& handle(sqlite3_file* file) { return *reinterpret_cast<Handle*>(file); }
  static File& content(sqlite3_file* file) { return **handle(file).file; }
  static SimulatedDisk& disk(sqlite3_vfs* vfs) { return *static_cast<SimulatedDisk*>(vfs->pAppData); }

  static int close(sqlite3_file* file) {
    Handle& closed = handle(file);
    if (closed.name != nullptr) closed.disk->files_.erase(*closed.name);
    delete closed.file;
    delete closed.name;
    return SQLITE_OK;
  }

  static int read(sqlite3_file* file, void* out, int bytes, sqlite3_int64 offset) {
    const std::string& text = content(file).content;
    const auto wanted = static_cast<std::size_t>(bytes), begin = static_cast<std::size_t>(offset);
    const std::size_t there = begin < text.size() ? std::min(wanted, text.size() - begin) : 0;
    if (there > 0) std::memcpy(out, text.data() + begin, there);
    if (there == wanted) return SQLITE_OK;
    std::memset(static_cast<char*>(out) + there, 0, wanted - there);
    return SQLITE_IOERR_SHORT_READ;
  }

  static int write(sqlite3_file* file, const void* bytes, int count, sqlite3_int64 offset) {
    Handle& written = handle(file);
    const auto begin = static_cast<std::size_t>(offset), size = static_cast<std::size_t>(count);
    const bool grows = begin + size > content(file).content.size();
    if (written.disk->left_ != 0 && written.disk->is_full_ && grows) return SQLITE_FULL;
    if (!written.disk->takes_operation()) return SQLITE_IOERR_WRITE;
    Change change{.offset = begin, .bytes = std::string(static_cast<const char*>(bytes), size)};
    apply(change, content(file).content);
    content(file).unsynced.push_back(std::move(change));
    return SQLITE_OK;
  }

  static int truncate(sqlite3_file* file, sqlite3_int64 size) {
    if (!handle(file).disk->takes_operation()) return SQLITE_IOERR_TRUNCATE;
    const Change change{.offset = static_cast<std::size_t>(size)};
    apply(change, content(file).content);
    content(file).unsynced.push_back(change);
    return SQLITE_OK;
  }

  static int sync(sqlite3_file* file, int) {
    Handle& synced = handle(file);
    if (!synced.disk->takes_operation()) return SQLITE_IOERR_FSYNC;
    if (synced.disk->ignores_syncs_) return SQLITE_OK;
    File& of = content(file);
    for (const Change& change : of.unsynced) apply(change, of.synced);
    of.unsynced.clear();
    of.is_named = true;
    return SQLITE_OK;
  }

  static int file_size(sqlite3_file* file, sqlite3_int64* size) {
    *size = static_cast<sqlite3_int64>(content(file).content.size());
    return SQLITE_OK;
  }

  // There is one connection at a time.
  static int lock(sqlite3_file*, int) { return SQLITE_OK; }
  static int check_lock(sqlite3_file*, int* is_locked) {
    *is_locked = 0;
    return SQLITE_OK;
  }
  static int control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
  static int sector_size(sqlite3_file*) { return static_cast<int>(kSectorBytes); }
  static int characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

  static int map_memory(sqlite3_file* file, int region, int bytes, int extends, void volatile** out) {
    auto& regions = content(file).shared_memory;
    const auto index = static_cast<std::size_t>(region);
    *out = nullptr;
    if (index >= regions.size() && extends == 0) return SQLITE_OK;
    while (index >= regions.size()) regions.push_back(std::make_unique<char[]>(static_cast<std::size_t>(bytes)));
    *out = regions[index].get();
    return SQLITE_OK;
  }
  static int lock_memory(sqlite3_file*, int, int, int) { return SQLITE_OK; }
  static void order_memory(sqlite3_file*) {}
  static int unmap_memory(sqlite3_file* file, int deletes) {
    if (deletes != 0) content(file).shared_memory.clear();
    return SQLITE_OK;
  }

  static const sqlite3_io_methods* table() {
    static const sqlite3_io_methods methods = {
        2,          close,   read,        write,           truncate,   sync,        file_size,    lock,         lock,
        check_lock, control, sector_size, characteristics, map_memory, lock_memory, order_memory, unmap_memory, nullptr,
        nullptr};
    return &methods;
  }

  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
    SimulatedDisk& on = disk(vfs);
    file->pMethods = nullptr;
    std::shared_ptr<File> opened;
    if (name != nullptr) {
      const auto known = on.files_.find(name);
      if (known != on.files_.end()) opened = known->second;
      if (!opened && (flags & SQLITE_OPEN_CREATE) == 0) return SQLITE_CANTOPEN;
    }
    if (!opened) opened = std::make_shared<File>();
    if (name != nullptr) on.files_[name] = opened;
    const bool is_temporary = name != nullptr && (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
    Handle& made = handle(file);
    made.disk = &on;
    made.file = new std::shared_ptr<File>(std::move(opened));
    made.name = is_temporary ? new std::string(name) : nullptr;
    made.base.pMethods = table();
    if (out_flags != nullptr) *out_flags = flags;
    return SQLITE_OK;
  }

  static int remove(sqlite3_vfs* vfs, const char* name, int) {
    SimulatedDisk& on = disk(vfs);
    if (!on.files_.contains(name)) return SQLITE_IOERR_DELETE_NOENT;
    if (!on.takes_operation()) return SQLITE_IOERR_DELETE;
    on.files_.erase(name);
    return SQLITE_OK;
  }

  static int access(sqlite3_vfs* vfs, const char* name, int flags, int* out) {
    const auto file = disk(vfs).files_.find(name);
    const bool is_there = file != disk(vfs).files_.end();
    *out = is_there && (flags != SQLITE_ACCESS_EXISTS || !file->second->content.empty()) ? 1 : 0;
    return SQLITE_OK;
  }

  static int full_path(sqlite3_vfs*, const char* name, int bytes, char* out) {
    const std::string path = name;
    if (path.size() + 1 > static_cast<std::size_t>(bytes)) return SQLITE_CANTOPEN;
    std::memcpy(out, path.c_str(), path.size() + 1);
    return SQLITE_OK;
  }

  static int random_bytes(sqlite3_vfs* vfs, int bytes, char* out) {
    for (int i = 0; i < bytes; ++i) out[i] = static_cast<char>(disk(vfs).salts_.next());
    return bytes;
  }
  static int sleep(sqlite3_vfs*, int) { return 0; }
  static int current_time(sqlite3_vfs*, double* days) {
    *days = 2460000.5;  // Julian, in 2023
    return SQLITE_OK;
  }
  static int last_error(sqlite3_vfs*, int, char*) { return 0; }
};

SimulatedDisk::SimulatedDisk() : name_("simulated") {
  vfs_.iVersion = 1;
  vfs_.szOsFile = sizeof(Handle);
  vfs_.mxPathname = 512;
  vfs_.zName = name_.c_str();
  vfs_.pAppData = this;
  vfs_.xOpen = Methods::open;
  vfs_.xDelete = Methods::remove;
  vfs_.xAccess = Methods::access;
  vfs_.xFullPathname = Methods::full_path;
  vfs_.xRandomness = Methods::random_bytes;
  vfs_.xSleep = Methods::sleep;
  vfs_.xCurrentTime = Methods::current_time;
  vfs_.xGetLastError = Methods::last_error;
  if (sqlite3_vfs_register(&vfs_, 1) != SQLITE_OK) throw std::runtime_error("SQLite takes no other disk");
}

SimulatedDisk::~SimulatedDisk() { sqlite3_vfs_unregister(&vfs_); }

bool SimulatedDisk::takes_operation() {
  if (left_ == 0) return false;
  if (left_ > 0) --left_;
  ++operations_;
  return true;
}

void SimulatedDisk::apply(const Change& change, std::string& content) {
  if (change.bytes.empty()) {
    if (change.offset < content.size()) content.resize(change.offset);
    return;
  }
  const std::size_t end = change.offset + change.bytes.size();
  if (content.size() < end) content.resize(end);
  std::memcpy(content.data() + change.offset, change.bytes.data(), change.bytes.size());
}

void SimulatedDisk::crash(Loss loss, SplitMix64& random) {
  left_ = -1;
  std::map<std::string, std::shared_ptr<File>> after;
  for (const auto& [name, before] : files_) {
    const bool is_lost = !before->is_named && (loss == Loss::kAll || (loss == Loss::kSome && random.below(2) == 0));
    if (is_lost) continue;
    auto file = std::make_shared<File>();
    file->content = loss == Loss::kNothing ? before->content : before->synced;
    for (const Change& change : before->unsynced) {
      if (loss != Loss::kSome || random.below(2) == 0) continue;
      Change part = change;
      const std::size_t sectors = part.bytes.size() / kSectorBytes;
      if (sectors > 1 && random.below(4) == 0) part.bytes.resize(kSectorBytes * (1 + random.below(sectors - 1)));
      apply(part, file->content);
    }
    // What is there after the start is on the disk: nothing that is read may go later.
    file->synced = file->content;
    file->is_named = true;
    after.emplace(name, std::move(file));
  }
  files_ = std::move(after);
}

}  // namespace equipoise::coordinator
