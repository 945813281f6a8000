#include "common/ledger/ledger_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <stdexcept>
#include <utility>

#include "common/base/error.h"

namespace equipoise {
namespace {

constexpr std::size_t kBytesAtOnce = std::size_t{64} << 10;
constexpr std::chrono::milliseconds kLate{500};

[[noreturn]] void refuse_file(const std::filesystem::path& path, const char* what) {
  const int error = errno;
  throw_open_fault(path.string() + ": " + what, error);
}

}  // namespace

LedgerWriter::LedgerWriter(std::filesystem::path path, const LedgerPosition& kept, std::int64_t steps_bytes)
    : path_(std::move(path)),
      steps_bytes_(steps_bytes),
      file_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (kept.bytes == 0 ? O_TRUNC : 0), 0666)),
      bytes_(kept.bytes),
      sealed_(kept.chain),
      sealed_bytes_(kept.bytes),
      written_at_(std::chrono::steady_clock::now()) {
  if (file_.get() < 0) refuse_file(path_, "cannot be written");
  if (kept.bytes > 0) {
    struct stat found {};
    if (::fstat(file_.get(), &found) != 0 || found.st_size < kept.bytes) {
      throw std::invalid_argument(path_.string() + ": has fewer than " + std::to_string(kept.bytes) + " bytes");
    }
    if (::ftruncate(file_.get(), kept.bytes) != 0) refuse_file(path_, "cannot be cut off");
    chain_.update(std::as_bytes(std::span(sealed_)));
    return;
  }
  sealed_ = sha256_of(std::as_bytes(std::span(kLedgerMagic)));
  chain_.update(std::as_bytes(std::span(sealed_)));
  pending_ = kLedgerMagic;
  hashed_ = pending_.size();
  bytes_ = std::ssize(pending_);
}

LedgerWriter::~LedgerWriter() {
  try {
    const std::lock_guard lock(mutex_);
    if (bytes_ > sealed_bytes_) add_seal();
    try_to_write();
  } catch (const std::exception&) {
    // A ledger that ends without a seal is one of a run that was cut short, which this one is.
  }
}

void LedgerWriter::add(LedgerKind kind, std::string_view content) {
  const std::size_t before = pending_.size();
  pending_.push_back(static_cast<char>(kind));
  add_varint(pending_, content.size());
  pending_ += content;
  bytes_ += static_cast<std::int64_t>(pending_.size() - before);
  if (pending_.size() >= kBytesAtOnce) write_pending();
}

void LedgerWriter::add_seal() {
  const std::size_t before = pending_.size();
  pending_.push_back(static_cast<char>(LedgerKind::kSeal));
  add_varint(pending_, kSealBytes);
  pending_ += byte_text(std::exchange(weights_, Sha256()).finish());
  hash_pending();
  sealed_ = std::exchange(chain_, Sha256()).finish();
  pending_ += byte_text(sealed_);
  hashed_ = pending_.size();
  chain_.update(std::as_bytes(std::span(sealed_)));
  bytes_ += static_cast<std::int64_t>(pending_.size() - before);
  sealed_bytes_ = bytes_;
}

void LedgerWriter::hash_pending() {
  chain_.update(std::string_view(pending_).substr(hashed_));
  hashed_ = pending_.size();
}

void LedgerWriter::write_pending() {
  do_with(patience_, [this] { try_to_write(); });
}

void LedgerWriter::try_to_write() {
  hash_pending();
  std::string hashed = std::exchange(pending_, {});
  hashed_ = 0;
  try {
    write_all(file_.get(), hashed, path_.string() + ": cannot be written");
  } catch (const std::runtime_error&) {
    pending_ = std::move(hashed);
    hashed_ = pending_.size();
    throw;
  }
  pending_ = std::move(hashed);  // empty; kept for its memory
  written_at_ = std::chrono::steady_clock::now();
}

void LedgerWriter::start(const LedgerStart& start) {
  const std::lock_guard lock(mutex_);
  add(LedgerKind::kStart, record_text(start));
}

void LedgerWriter::attempt(const LedgerAttempt& attempt) {
  const std::lock_guard lock(mutex_);
  add(LedgerKind::kAttempt, record_text(attempt));
  add_seal();
  write_pending();
}

void LedgerWriter::settings(const LedgerSettings& settings) {
  const std::lock_guard lock(mutex_);
  add(LedgerKind::kSettings, record_text(settings));
  write_pending();
}

void LedgerWriter::checkpoint(const LedgerCheckpoint& checkpoint) {
  const std::lock_guard lock(mutex_);
  add(LedgerKind::kCheckpoint, record_text(checkpoint));
  write_pending();
}

void LedgerWriter::step(const LedgerStep& step) {
  const std::lock_guard lock(mutex_);
  content_.clear();
  add_step_bytes(content_, step);
  if (!block_ && bytes_ >= steps_bytes_) block_.emplace().first_step = step.step;
  if (block_) {
    block_->contents.update(std::string_view(content_));
    block_->answered.update(std::as_bytes(step.weight));
    ++block_->steps;
    return;
  }
  weights_.update(std::as_bytes(step.weight));
  add(LedgerKind::kStep, content_);
  if ((step.step + 1) % kStepsPerSeal == 0) add_seal();
}

bool LedgerWriter::has_block() const {
  const std::lock_guard lock(mutex_);
  return block_.has_value();
}

void LedgerWriter::close_block(std::int64_t steps_done, const GroupWeightsState& weights) {
  const std::lock_guard lock(mutex_);
  if (!block_) return;
  EQUIPOISE_CHECK(block_->first_step + block_->steps == steps_done);
  add(LedgerKind::kBlock, record_text(LedgerBlock{.first_step = block_->first_step,
                                                  .steps = block_->steps,
                                                  .contents = block_->contents.finish(),
                                                  .answered = block_->answered.finish(),
                                                  .weights = weights}));
  block_.reset();
  add_seal();
}

std::int64_t LedgerWriter::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

void LedgerWriter::write_if_late() {
  const std::lock_guard lock(mutex_);
  if (std::chrono::steady_clock::now() - written_at_ >= kLate) write_pending();
}

LedgerPosition LedgerWriter::seal() {
  const std::lock_guard lock(mutex_);
  if (bytes_ > sealed_bytes_) add_seal();
  write_pending();
  return {.bytes = sealed_bytes_, .chain = sealed_};
}

LedgerPosition LedgerWriter::end(const LedgerEnd& end) {
  const std::lock_guard lock(mutex_);
  EQUIPOISE_CHECK(!block_);
  add(LedgerKind::kEnd, record_text(end));
  add_seal();
  write_pending();
  const auto sync = [this] {
    if (::fsync(file_.get()) != 0) throw_write_fault(path_.string() + ": cannot be brought to disk", errno);
  };
  do_with(patience_, sync);
  return {.bytes = sealed_bytes_, .chain = sealed_};
}

}  // namespace equipoise
