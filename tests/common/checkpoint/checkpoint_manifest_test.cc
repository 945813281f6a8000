#include "common/checkpoint/checkpoint_manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace checkpoint_manifest_test {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

CheckpointManifest some_manifest() {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  CheckpointManifest manifest{.program = "equipoise-worker 1",
                              .job_id = "even-1a2b3c4d",
                              .generation = 2,
                              .step = 120,
                              .time = "2026-01-31T12:00:00Z",
                              .job = "name: even\nloss:\n  beta: 0.1\n",
                              .plan = {.seed = std::numeric_limits<std::uint64_t>::max(),
                                       .shuffle = true,
                                       .num_pairs = 1000,
                                       .global_batch_size = 8,
                                       .world_size = 2,
                                       .stratified = true,
                                       .mixed = false,
                                       .first_step = 0,
                                       .end_step = 500},
                              .dataset = sha256_of(std::as_bytes(std::span("data"))),
                              .weights = {.log_alpha_K = {std::log(0.25), -5e-324, std::log(1.0 / 3), -745.13},
                                          .group_loss_K = {nan, 0.1, 1e300, -0.0},
                                          .step_size = {.step_size = 0.1 + 0.2, .best = infinity, .waited = 3}},
                              .training = {{"applied_steps", 119}},
                              .policy = {{"is_reference", false}},
                              .metrics_bytes = 4711,
                              .metrics_sha256 = sha256_of(std::as_bytes(std::span("lines"))),
                              .ledger_bytes = 815,
                              .ledger_chain = sha256_of(std::as_bytes(std::span("records"))),
                              .files = {}};
  manifest.files.push_back({.name = "model.safetensors", .bytes = 7, .sha256 = manifest.dataset});
  manifest.files.push_back({.name = "additional_chat_templates/a.jinja", .bytes = 0, .sha256 = manifest.dataset});
  return manifest;
}

void expect_same_bits(const std::vector<double>& one, const std::vector<double>& other) {
  ASSERT_EQ(one.size(), other.size());
  for (std::size_t i = 0; i < one.size(); ++i) {
    EXPECT_EQ(std::isnan(one[i]), std::isnan(other[i]));
    if (std::isnan(one[i])) continue;
    EXPECT_EQ(std::bit_cast<std::uint64_t>(one[i]), std::bit_cast<std::uint64_t>(other[i]));
  }
}

TEST(CheckpointManifest, ReadsBackToTheSameBits) {
  const CheckpointManifest written = some_manifest();
  const CheckpointManifest read = parse_manifest(manifest_text(written));
  expect_same_bits(read.weights.log_alpha_K, written.weights.log_alpha_K);
  expect_same_bits(read.weights.group_loss_K, written.weights.group_loss_K);
  EXPECT_EQ(read.weights.step_size.step_size, written.weights.step_size.step_size);
  EXPECT_EQ(read.weights.step_size.best, written.weights.step_size.best);
  EXPECT_EQ(read.plan.seed, written.plan.seed);
  EXPECT_EQ(read.job, written.job);
  EXPECT_EQ(read.files[1].name, written.files[1].name);
  EXPECT_EQ(read.bytes(), 7);
  EXPECT_EQ(read.ledger_bytes, 815);
  EXPECT_EQ(read.ledger_chain, written.ledger_chain);
  // As programs before the ledger wrote them.
  CheckpointManifest earlier = written;
  earlier.ledger_bytes = 0;
  EXPECT_EQ(parse_manifest(manifest_text(earlier)).ledger_bytes, 0);
  EXPECT_EQ(manifest_text(read), manifest_text(written));
  EXPECT_EQ(manifest_digest(read), manifest_digest(written));
}

// Whatever bit of the file is another one, nobody goes on from it.
TEST(CheckpointManifest, EveryChangedBitIsFound) {
  const std::string text = manifest_text(some_manifest());
  for (std::size_t i = 0; i < text.size() * 8; ++i) {
    std::string changed = text;
    changed[i / 8] = static_cast<char>(changed[i / 8] ^ (1 << (i % 8)));
    EXPECT_THROW(parse_manifest(changed), std::invalid_argument) << "bit " << i;
  }
}

TEST(CheckpointManifest, EveryCutAndEveryAddedByteIsFound) {
  const std::string text = manifest_text(some_manifest());
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_THROW(parse_manifest(text.substr(0, size)), std::invalid_argument) << size << " bytes";
    EXPECT_THROW(parse_manifest(text.substr(0, size) + " " + text.substr(size)), std::invalid_argument) << size;
  }
  EXPECT_THROW(parse_manifest(text + "\n"), std::invalid_argument);
}

// With a right digest, as somebody can make it.
std::string with_field(const char* field, const CheckpointJson& value) {
  CheckpointJson content = CheckpointJson::parse(manifest_text(some_manifest()));
  content.erase("sha256");
  content[CheckpointJson::json_pointer(field)] = value;
  const std::string text = content.dump(1);
  content["sha256"] = hex_text(sha256_of(std::as_bytes(std::span(text))));
  return content.dump(1) + "\n";
}

TEST(CheckpointManifest, FieldsThatAreNoneAreRefused) {
  EXPECT_NO_THROW(parse_manifest(with_field("/step", 121)));
  for (const auto& [field, value] :
       std::vector<std::pair<const char*, CheckpointJson>>{{"/step", "120"},
                                                           {"/step", 1.5},
                                                           {"/job", 3},
                                                           {"/weights/log_alpha", {1, "one"}},
                                                           {"/weights/log_alpha", 7},
                                                           {"/weights/step_size/best", nullptr},
                                                           {"/plan/seed", -1},
                                                           {"/plan", "none"},
                                                           {"/dataset_sha256", "00"},
                                                           {"/metrics/bytes", nullptr},
                                                           {"/files", 1},
                                                           {"/files/0/name", "../model.safetensors"},
                                                           {"/files/0/name", "/etc/passwd"},
                                                           {"/files/0/name", ".hidden"},
                                                           {"/files/0/name", ""},
                                                           {"/files/0/bytes", -1},
                                                           {"/files/0/sha256", std::string(64, 'g')}}) {
    EXPECT_THROW(parse_manifest(with_field(field, value)), std::invalid_argument) << field << " " << value;
  }
  EXPECT_THAT([] { parse_manifest(with_field("/format", 2)); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("its format is 2, expected 1")));
}

TEST(CheckpointManifest, NamesTheFile) {
  const TempFolder temp;
  EXPECT_THAT([&] { read_manifest(temp.path()); },
              ThrowsMessage<std::invalid_argument>(HasSubstr((temp / "manifest.json").string())));
  temp.write("manifest.json", "{}");
  EXPECT_THAT([&] { read_manifest(temp.path()); },
              ThrowsMessage<std::invalid_argument>(HasSubstr((temp / "manifest.json").string() + ": format")));
}

}  // namespace checkpoint_manifest_test
}  // namespace equipoise
