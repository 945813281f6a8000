#include "worker/reference/reference_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "common/base/cache_folder.h"
#include "common/base/descriptor.h"
#include "common/base/durable_file.h"
#include "worker/data/json_file.h"
#include "worker/model/adapter_config.h"
#include "worker/model/weight_files.h"

namespace equipoise {
namespace {

void add_tensors(Sha256& sha256, const std::vector<TensorView>& tensors, const std::function<void()>& on_progress) {
  for (const TensorView& tensor : tensors) {
    sha256.add_text(tensor.name);
    sha256.add_text(tensor.dtype);
    sha256.add_list(tensor.shape);
    sha256.add_list(tensor.bytes);
    if (on_progress) on_progress();
  }
}

}  // namespace

Digest model_digest(const std::filesystem::path& folder, const std::filesystem::path& adapter,
                    const std::function<void()>& on_progress) {
  Sha256 sha256;
  sha256.add_text(read_json_object(folder / "config.json").dump());
  const WeightFiles files = WeightFiles::open(folder);
  add_tensors(sha256, files.all(), on_progress);
  if (adapter.empty()) return sha256.finish();
  sha256.add_text(read_json_object(adapter / kAdapterConfig).dump());
  const SafetensorsFile adapter_file = SafetensorsFile::open(adapter / kAdapterWeights);
  add_tensors(sha256, adapter_file.tensors(), on_progress);
  return sha256.finish();
}

namespace {

static_assert(std::endian::native == std::endian::little, "entries hold little-endian numbers");

constexpr std::string_view kKind = "reference";
// A change of the format, or of what a forward pass computes, needs a new one: it is part of every key.
constexpr std::string_view kVersion = "EQREFLP2";

// magic, key, number of pairs, log-probs of chosen answers, of rejected answers, SHA-256 of all that.
constexpr std::size_t kHeaderBytes = kVersion.size() + sizeof(Digest) + sizeof(std::uint64_t);

std::size_t entry_bytes(std::size_t num_pairs) {
  return kHeaderBytes + 2 * num_pairs * sizeof(double) + sizeof(Digest);
}

bool read_all(int descriptor, std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::read(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

std::vector<std::byte> header_of(const Digest& key, std::uint64_t num_pairs) {
  std::vector<std::byte> header(kHeaderBytes);
  std::memcpy(header.data(), kVersion.data(), kVersion.size());
  std::memcpy(header.data() + kVersion.size(), key.data(), key.size());
  std::memcpy(header.data() + kVersion.size() + key.size(), &num_pairs, sizeof(num_pairs));
  return header;
}

std::vector<double> numbers_at(std::span<const std::byte> bytes, std::size_t count) {
  std::vector<double> numbers(count);
  if (count > 0) std::memcpy(numbers.data(), bytes.data(), count * sizeof(double));
  return numbers;
}

bool all_finite(const std::vector<double>& numbers) {
  for (const double number : numbers) {
    if (!std::isfinite(number)) return false;
  }
  return true;
}

}  // namespace

Digest reference_key(const Digest& model, const EncodedPairs& pairs, const LogProbArithmetic& arithmetic) {
  Sha256 sha256;
  sha256.update(kVersion);
  sha256.update(model);
  sha256.add_text(arithmetic.dtype);
  sha256.add_text(arithmetic.device);
  sha256.add_number(arithmetic.token_budget);
  sha256.add_number(std::uint64_t{pairs.size()});
  for (const EncodedPair pair : pairs) {
    sha256.add_list(pair.prompt_ids);
    sha256.add_list(pair.chosen_ids);
    sha256.add_list(pair.rejected_ids);
  }
  return sha256.finish();
}

ReferenceCacheEntry::ReferenceCacheEntry(const std::filesystem::path& folder, const Digest& key)
    : path_(cache_entry(folder, kKind, key)), key_(key) {}

ReferenceCacheEntry::Found ReferenceCacheEntry::read(std::size_t num_pairs) const {
  // No link is followed and no pipe waited for.
  const Descriptor file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file.get() < 0 && errno == ENOENT) return {};
  if (file.get() < 0) return {.values = {}, .fault = std::generic_category().message(errno)};
  struct stat status {};
  std::vector<std::byte> bytes(entry_bytes(num_pairs));
  if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return {.values = {}, .fault = "is not a file"};
  if (static_cast<std::size_t>(status.st_size) != bytes.size() || !read_all(file.get(), bytes)) {
    return {.values = {}, .fault = "is not whole"};
  }
  const std::span<const std::byte> all(bytes);
  const auto content = all.first(all.size() - sizeof(Digest)), checksum = all.last(sizeof(Digest));
  const auto header = header_of(key_, num_pairs);
  if (std::memcmp(content.data(), header.data(), header.size()) != 0) {
    return {.values = {}, .fault = "holds something else"};
  }
  if (std::memcmp(sha256_of(content).data(), checksum.data(), checksum.size()) != 0) {
    return {.values = {}, .fault = "is damaged, its checksum does not match"};
  }
  const auto numbers = content.subspan(kHeaderBytes);
  AnswerLogProbs values{.chosen_N = numbers_at(numbers, num_pairs),
                        .rejected_N = numbers_at(numbers.subspan(num_pairs * sizeof(double)), num_pairs)};
  if (!all_finite(values.chosen_N) || !all_finite(values.rejected_N)) {
    return {.values = {}, .fault = "holds numbers that are not finite"};
  }
  return {.values = std::move(values), .fault = ""};
}

std::string ReferenceCacheEntry::write(const AnswerLogProbs& values) const {
  std::vector<std::byte> bytes = header_of(key_, values.chosen_N.size());
  for (const auto* numbers : {&values.chosen_N, &values.rejected_N}) {
    const auto raw = std::as_bytes(std::span(*numbers));
    bytes.insert(bytes.end(), raw.begin(), raw.end());
  }
  const Digest checksum = sha256_of(bytes);
  try {
    make_cache_place(path_);
    DurableFile file(path_);
    file.write(bytes);
    file.write(checksum);
    file.commit();
    return "";
  } catch (const std::exception& failure) {  // no room, no permission: all that is lost is time
    return failure.what();
  }
}

}  // namespace equipoise
