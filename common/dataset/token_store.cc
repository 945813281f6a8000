#include "common/dataset/token_store.h"

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

#include "common/base/durable_file.h"
#include "common/base/error.h"

namespace equipoise {
namespace {

static_assert(std::endian::native == std::endian::little, "the file holds little-endian numbers");

constexpr std::string_view kMagic = "EQTOKENS";
constexpr std::size_t kNameBytes = 24;
constexpr std::size_t kAlignment = 64;  // a cache line, and enough for every number
constexpr std::size_t kMostColumns = 64;

struct Header {
  std::array<char, 8> magic{};
  std::uint64_t file_size = 0;
  Digest key{};
  Digest checksum{};  // of all that follows
};

struct Entry {
  std::array<char, kNameBytes> name{};
  std::uint64_t place = 0;
  std::uint64_t size = 0;
};

static_assert(sizeof(Header) == 80 && sizeof(Entry) == 40);

std::size_t aligned(std::size_t place) { return (place + kAlignment - 1) / kAlignment * kAlignment; }

std::span<const std::byte> bytes_of_value(const auto& value) { return std::as_bytes(std::span(&value, 1)); }

// All after the header, in pieces that do not copy the columns.
class Body {
 public:
  explicit Body(std::span<const TokenStore::Column> columns) : columns_(columns) {
    std::size_t place = sizeof(Header) + sizeof(std::uint64_t) + columns.size() * sizeof(Entry);
    for (const TokenStore::Column& column : columns) {
      EQUIPOISE_CHECK(!column.name.empty() && column.name.size() <= kNameBytes);
      place = aligned(place);
      Entry entry{.name = {}, .place = place, .size = column.bytes.size()};
      std::ranges::copy(column.name, entry.name.begin());
      entries_.push_back(entry);
      place += column.bytes.size();
    }
    file_size_ = place;
  }

  std::uint64_t file_size() const { return file_size_; }

  template <class Take>
  void each_piece(Take&& take) const {
    const std::uint64_t count = entries_.size();
    take(bytes_of_value(count));
    take(std::as_bytes(std::span(entries_)));
    std::size_t place = sizeof(Header) + sizeof(count) + entries_.size() * sizeof(Entry);
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      constexpr std::array<std::byte, kAlignment> kZeros{};
      take(std::span(kZeros).first(entries_[i].place - place));
      take(columns_[i].bytes);
      place = entries_[i].place + entries_[i].size;
    }
  }

 private:
  std::span<const TokenStore::Column> columns_;
  std::vector<Entry> entries_;
  std::uint64_t file_size_ = 0;
};

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

[[noreturn]] void refuse_file(const std::filesystem::path& path, const std::string& what) {
  throw std::invalid_argument(path.string() + " " + what);
}

std::string cause() { return std::generic_category().message(errno); }

}  // namespace

void TokenStore::write(const std::filesystem::path& path, const Digest& key, std::span<const Column> columns) {
  const Body body(columns);
  Header header{.magic = {}, .file_size = body.file_size(), .key = key, .checksum = {}};
  std::ranges::copy(kMagic, header.magic.begin());
  Sha256 sha256;
  body.each_piece([&](std::span<const std::byte> piece) { sha256.update(piece); });
  header.checksum = sha256.finish();
  DurableFile file(path);
  file.write(bytes_of_value(header));
  body.each_piece([&](std::span<const std::byte> piece) { file.write(piece); });
  file.commit();
}

std::optional<TokenStore> TokenStore::open(const std::filesystem::path& path, const Digest& key) {
  // Not blocking: the name may stand for a pipe.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.number() < 0 && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
  struct stat status{};
  if (file.number() < 0 || ::fstat(file.number(), &status) != 0) refuse_file(path, "cannot be read: " + cause());
  if (!S_ISREG(status.st_mode)) refuse_file(path, "is not a file");
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size < sizeof(Header) + sizeof(std::uint64_t)) refuse_file(path, "is cut short");
  void* const mapped = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.number(), 0);
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

void TokenStore::refuse(const std::string& what) const { refuse_file(path_, what); }

void TokenStore::check(const Digest& key) const {
  Header header;
  std::memcpy(&header, all().data(), sizeof(header));
  if (std::string_view(header.magic.data(), header.magic.size()) != kMagic) refuse("is not a token store");
  if (header.file_size != all().size()) refuse("is cut short");
  if (header.key != key) refuse("holds the tokens of something else");
  Sha256 sha256;
  sha256.update(all().subspan(sizeof(Header)));
  if (sha256.finish() != header.checksum) refuse("has changed since it was written");
}

void TokenStore::read_columns() {
  std::span<const std::byte> rest = all().subspan(sizeof(Header));
  std::uint64_t count = 0;
  std::memcpy(&count, rest.data(), sizeof(count));
  rest = rest.subspan(sizeof(count));
  if (count > kMostColumns || count * sizeof(Entry) > rest.size()) refuse("has more columns than fit");
  for (std::size_t i = 0; i < count; ++i) {
    Entry entry;
    std::memcpy(&entry, rest.data() + i * sizeof(Entry), sizeof(entry));
    const bool fits =
        entry.place % kAlignment == 0 && entry.place <= all().size() && entry.size <= all().size() - entry.place;
    if (!fits) refuse("has a column outside of the file");
    const std::size_t length = ::strnlen(entry.name.data(), entry.name.size());
    columns_.push_back(
        {.name = std::string(entry.name.data(), length), .bytes = all().subspan(entry.place, entry.size)});
  }
}

std::span<const std::byte> TokenStore::bytes_of(std::string_view name, std::size_t number_size) const {
  const auto column = std::ranges::find(columns_, name, &Column::name);
  if (column == columns_.end()) refuse("has no column \"" + std::string(name) + "\"");
  if (column->bytes.size() % number_size != 0) refuse("has a broken column \"" + std::string(name) + "\"");
  return column->bytes;
}

}  // namespace equipoise
