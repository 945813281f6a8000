// The checkpoints of a run, for people and for programs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "client/console/console.h"
#include "client/table/text_table.h"
#include "common/checkpoint/checkpoint_manifest.h"

namespace equipoise {

// A checkpoint as its manifest describes it. Its other files are not looked at.
struct DescribedCheckpoint {
  std::filesystem::path folder;
  std::int64_t step = 0;  // as the folder's name says, or the manifest, where that is called otherwise
  std::optional<CheckpointManifest> manifest;
  std::string fault;  // where there is no manifest that can be read; without the folder's name
};

DescribedCheckpoint describe_checkpoint(const std::filesystem::path& folder);

// Those of a run's folder, newest first. One that its run removes meanwhile is left out.
std::vector<DescribedCheckpoint> describe_checkpoints(const std::filesystem::path& output);

// "step 120"; the folder's name where neither that nor a manifest says a step.
std::string checkpoint_name(const DescribedCheckpoint& checkpoint);

// What is wrong with a checkpoint, as fault_of_checkpoint() says it, without the name of its folder.
std::string fault_in_folder(const std::filesystem::path& folder, const std::string& fault);

// A row for each: step, time, size, generation, job, ranks; which one is the newest that can be read, and faults. With
// kWide the number of files and the folder too.
std::string checkpoint_table(std::span<const DescribedCheckpoint> checkpoints, Colors colors, Glyphs glyphs,
                             TableDetail detail = TableDetail::kUsual);

// The same as an object with a list; ends with a newline.
std::string checkpoint_json(const std::filesystem::path& output, std::span<const DescribedCheckpoint> checkpoints);

}  // namespace equipoise
