// A checkpoint's manifest. It has its own digest, which no random change keeps: a text without one is given the right
// one here.
#include <nlohmann/json.hpp>
#include <string>

#include "common/base/sha256.h"
#include "common/checkpoint/checkpoint_manifest.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/hostile_input.h"

namespace equipoise {
namespace {

// As checkpoint_manifest.cc seals it; empty: it is no text that could be sealed.
std::string sealed(const std::string& text) {
  CheckpointJson content = CheckpointJson::parse(text, nullptr, false);
  if (!content.is_object()) return "";
  content.erase("sha256");
  try {
    const std::string bare = content.dump(1);
    content["sha256"] = hex_text(sha256_of(std::as_bytes(std::span(bare))));
    return content.dump(1) + "\n";
  } catch (const CheckpointJson::exception&) {  // not UTF-8
    return "";
  }
}

void check_manifest(const CheckpointManifest& manifest) {
  promise(manifest.step >= 0 && manifest.generation >= 0 && manifest.metrics_bytes >= 0, "counts are not negative");
  promise(manifest.plan.world_size >= 0, "the number of ranks is not negative");
  for (const CheckpointFile& file : manifest.files) {
    promise(!file.name.empty() && file.name.front() != '/' && file.name.find("..") != 0, "files are below the folder");
    promise(file.bytes >= 0, "sizes are not negative");
  }
  promise(manifest.bytes() >= 0, "the size of all files is a number");
  manifest_digest(manifest);
}

}  // namespace

bool fuzz_manifest(std::span<const std::uint8_t> input) {
  const std::string text(reinterpret_cast<const char*>(input.data()), input.size());
  bool is_deep = false;
  const auto read = [&is_deep](const std::string& content) {
    try {
      check_manifest(parse_manifest(content));
      return true;
    } catch (const std::invalid_argument& refusal) {
      is_deep = std::string(refusal.what()).find("nested deeper") != std::string::npos;
      return false;
    }
  };
  if (read(text)) return true;
  return !is_deep && read(sealed(text));
}

}  // namespace equipoise
