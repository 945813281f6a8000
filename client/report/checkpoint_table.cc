#include "client/report/checkpoint_table.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "client/table/json_document.h"
#include "client/table/number_format.h"
#include "client/table/text_table.h"
#include "common/base/path_check.h"
#include "common/checkpoint/checkpoint_folder.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

// What --resume goes on from, as far as the manifests say.
const DescribedCheckpoint* newest_readable(std::span<const DescribedCheckpoint> checkpoints) {
  const auto newest = std::ranges::find_if(checkpoints, [](const auto& one) { return one.manifest.has_value(); });
  return newest == checkpoints.end() ? nullptr : &*newest;
}

}  // namespace

std::string fault_in_folder(const fs::path& folder, const std::string& fault) {
  const std::string name = folder.string();
  const bool is_named = fault.starts_with(name) && fault.size() > name.size() + 1;
  return is_named && (fault[name.size()] == '/' || fault[name.size()] == ' ') ? fault.substr(name.size() + 1) : fault;
}

DescribedCheckpoint describe_checkpoint(const fs::path& folder) {
  DescribedCheckpoint checkpoint{
      .folder = folder, .step = step_of_checkpoint(folder), .manifest = std::nullopt, .fault = ""};
  try {
    CheckpointManifest manifest = read_manifest(folder);
    if (checkpoint.step < 0) checkpoint.step = manifest.step;
    if (checkpoint.step == manifest.step) {
      checkpoint.manifest = std::move(manifest);
    } else {
      checkpoint.fault = "holds the checkpoint of step " + std::to_string(manifest.step);
    }
  } catch (const std::invalid_argument& fault) {
    checkpoint.fault = fault_in_folder(folder, fault.what());
  }
  return checkpoint;
}

std::vector<DescribedCheckpoint> describe_checkpoints(const fs::path& output) {
  std::vector<DescribedCheckpoint> checkpoints;
  for (const CheckpointEntry& entry : list_checkpoints(output)) {
    DescribedCheckpoint checkpoint = describe_checkpoint(entry.folder);
    if (checkpoint.manifest || entry_exists(entry.folder)) checkpoints.push_back(std::move(checkpoint));
  }
  return checkpoints;
}

std::string checkpoint_name(const DescribedCheckpoint& checkpoint) {
  return checkpoint.step >= 0 ? "step " + std::to_string(checkpoint.step) : checkpoint.folder.filename().string();
}

std::string checkpoint_table(std::span<const DescribedCheckpoint> checkpoints, Colors colors, Glyphs glyphs,
                             TableDetail detail) {
  const bool is_wide = detail == TableDetail::kWide;
  std::vector<Column> columns = {
      {"step", Align::kRight},  {"time"}, {"size", Align::kRight}, {"generation", Align::kRight}, {"job"},
      {"ranks", Align::kRight}, {""}};
  if (is_wide) columns.insert(columns.end(), {{"files", Align::kRight}, {"folder"}});
  TextTable table(std::move(columns));
  const DescribedCheckpoint* const newest = newest_readable(checkpoints);
  for (const DescribedCheckpoint& checkpoint : checkpoints) {
    std::vector<std::string> row = {std::to_string(checkpoint.step), "", "", "", "", "",
                                    "damaged: " + checkpoint.fault};
    if (checkpoint.manifest) {
      const CheckpointManifest& manifest = *checkpoint.manifest;
      row = {std::to_string(checkpoint.step),      manifest.time,   size_text(manifest.bytes()),
             std::to_string(manifest.generation),  manifest.job_id, std::to_string(manifest.plan.world_size),
             &checkpoint == newest ? "newest" : ""};
    }
    if (is_wide) row.push_back(checkpoint.manifest ? std::to_string(checkpoint.manifest->files.size()) : "");
    if (is_wide) row.push_back(checkpoint.folder.string());
    table.add_row(std::move(row), checkpoint.manifest ? RowStyle::kNormal : RowStyle::kMarked);
  }
  return table.text(colors, glyphs);
}

std::string checkpoint_json(const fs::path& output, std::span<const DescribedCheckpoint> checkpoints) {
  CheckpointJson list = CheckpointJson::array();
  const DescribedCheckpoint* const newest = newest_readable(checkpoints);
  for (const DescribedCheckpoint& checkpoint : checkpoints) {
    CheckpointJson row = {{"step", checkpoint.step}, {"folder", checkpoint.folder.string()}};
    if (checkpoint.manifest) {
      const CheckpointManifest& manifest = *checkpoint.manifest;
      row["time"] = manifest.time;
      row["bytes"] = manifest.bytes();
      row["files"] = manifest.files.size();
      row["generation"] = manifest.generation;
      row["job_id"] = manifest.job_id;
      row["ranks"] = manifest.plan.world_size;
      row["newest"] = &checkpoint == newest;
    } else {
      row["fault"] = checkpoint.fault;
    }
    list.push_back(std::move(row));
  }
  const CheckpointJson all = {{"output", output.string()}, {"checkpoints", std::move(list)}};
  return json_document(all);
}

}  // namespace equipoise
