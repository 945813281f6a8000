#include "worker/data/token_store.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "common/base/descriptor.h"
#include "common/base/error.h"

namespace equipoise {
namespace {

static_assert(std::endian::native == std::endian::little, "the file holds little-endian numbers");

constexpr std::string_view kMagic = "EQTOKEN2";
constexpr std::size_t kNameBytes = 24;
constexpr std::size_t kAlignment = 64;  // a cache line, and enough for every number
constexpr std::size_t kBytesAtOnce = 16 << 20;

struct Footer {
  std::uint64_t directory = 0;  // its place
  std::uint64_t num_columns = 0;
  std::uint64_t file_size = 0;
  Digest key{};
  Digest checksum{};  // of all before it
};

static_assert(sizeof(Footer) == 88);

std::span<const std::byte> bytes_of_value(const auto& value) { return std::as_bytes(std::span(&value, 1)); }

[[noreturn]] void refuse_file(const std::filesystem::path& path, const std::string& what) {
  throw std::invalid_argument(path.string() + " " + what);
}

std::string cause() { return std::generic_category().message(errno); }

}  // namespace

TokenStoreWriter::TokenStoreWriter(const std::filesystem::path& path, const Digest& key) : file_(path), key_(key) {
  static_assert(sizeof(Entry) == 40 && sizeof(Entry::name) == kNameBytes);
  write(std::as_bytes(std::span(kMagic)));
}

void TokenStoreWriter::add(std::string_view name, std::span<const std::byte> bytes) {
  EQUIPOISE_CHECK(!name.empty() && name.size() <= kNameBytes);
  align(kAlignment);
  Entry entry{.place = place_, .size = bytes.size()};
  std::ranges::copy(name, entry.name);
  entries_.push_back(entry);
  write(bytes);
}

void TokenStoreWriter::commit() {
  align(alignof(Entry));
  Footer footer{.directory = place_, .num_columns = entries_.size(), .key = key_};
  write(std::as_bytes(std::span(entries_)));
  footer.file_size = place_ + sizeof(footer);
  write(bytes_of_value(footer).first(sizeof(footer) - sizeof(footer.checksum)));
  file_.write(sha256_.finish());
  file_.commit();
}

void TokenStoreWriter::write(std::span<const std::byte> bytes) {
  sha256_.update(bytes);
  file_.write(bytes);
  place_ += bytes.size();
}

void TokenStoreWriter::align(std::size_t alignment) {
  constexpr std::array<std::byte, kAlignment> kZeros{};
  write(std::span(kZeros).first((alignment - place_ % alignment) % alignment));
}

std::optional<TokenStore> TokenStore::open(const std::filesystem::path& path, const Digest& key) {
  // Not blocking: the name may stand for a pipe.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0 && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
  struct stat status {};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) refuse_file(path, "cannot be read: " + cause());
  if (!S_ISREG(status.st_mode)) refuse_file(path, "is not a file");
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size < kMagic.size() + sizeof(Footer)) refuse_file(path, "is cut short");
  void* const mapped = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (mapped == MAP_FAILED) refuse_file(path, "cannot be mapped: " + cause());
  TokenStore store(path, {static_cast<const std::byte*>(mapped), Unmap{size}});
  store.check(key);
  store.read_columns();
  return store;
}

TokenStore::TokenStore(std::filesystem::path path, std::unique_ptr<const std::byte, Unmap> bytes)
    : path_(std::move(path)), bytes_(std::move(bytes)) {}

void TokenStore::Unmap::operator()(const std::byte* bytes) const {
  ::munmap(const_cast<std::byte*>(bytes), size);  // munmap takes no const, and changes nothing
}

// Whole pages between its ends. They are the file's, which nobody writes to, so nothing is lost.
void TokenStore::let_go(std::span<const std::byte> bytes) const {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const auto offset = static_cast<std::size_t>(bytes.data() - all().data());
  const std::size_t begin = (offset + page - 1) / page * page, end = (offset + bytes.size()) / page * page;
  if (begin < end) ::madvise(const_cast<std::byte*>(all().data()) + begin, end - begin, MADV_DONTNEED);
}

void TokenStore::refuse(const std::string& what) const { refuse_file(path_, what); }

void TokenStore::check(const Digest& key) const {
  if (std::memcmp(all().data(), kMagic.data(), kMagic.size()) != 0) refuse("is not a token store");
  Footer footer;
  std::memcpy(&footer, all().last(sizeof(footer)).data(), sizeof(footer));
  if (footer.file_size != all().size()) refuse("is cut short");
  if (footer.key != key) refuse("holds the tokens of something else");
  Sha256 sha256;
  for (auto rest = all().first(all().size() - sizeof(footer.checksum)); !rest.empty();) {
    const auto piece = rest.first(std::min(rest.size(), kBytesAtOnce));
    sha256.update(piece);
    let_go(piece);
    rest = rest.subspan(piece.size());
  }
  if (sha256.finish() != footer.checksum) refuse("has changed since it was written");
}

void TokenStore::read_columns() {
  using Entry = TokenStoreWriter::Entry;
  Footer footer;
  std::memcpy(&footer, all().last(sizeof(footer)).data(), sizeof(footer));
  const std::uint64_t end = all().size() - sizeof(footer);
  const bool fits = footer.directory <= end && (end - footer.directory) % sizeof(Entry) == 0 &&
                    footer.num_columns == (end - footer.directory) / sizeof(Entry);
  if (!fits) refuse("has a list of columns that does not fit");
  for (std::size_t i = 0; i < footer.num_columns; ++i) {
    Entry entry;
    std::memcpy(&entry, all().data() + footer.directory + i * sizeof(Entry), sizeof(entry));
    const bool is_inside = entry.place % kAlignment == 0 && entry.place <= footer.directory &&
                           entry.size <= footer.directory - entry.place;
    if (!is_inside) refuse("has a column outside of the file");
    const std::size_t length = ::strnlen(entry.name, kNameBytes);
    columns_.push_back({.name = std::string(entry.name, length), .bytes = all().subspan(entry.place, entry.size)});
  }
}

std::vector<std::span<const std::byte>> TokenStore::bytes_of(std::string_view name, std::size_t number_size) const {
  std::vector<std::span<const std::byte>> found;
  for (const Column& column : columns_) {
    if (column.name != name) continue;
    if (column.bytes.size() % number_size != 0) refuse("has a broken column \"" + std::string(name) + "\"");
    found.push_back(column.bytes);
  }
  if (found.empty()) refuse("has no column \"" + std::string(name) + "\"");
  return found;
}

}  // namespace equipoise
