#include "client/report/checkpoint_table.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "tests/client/support/example_checkpoint.h"

namespace equipoise {
namespace checkpoint_table_test {

TEST(CheckpointTable, ListsTheNewestFirstWithItsFaults) {
  const TempFolder folder;
  write_checkpoint(folder, "run", 60);
  write_checkpoint(folder, "run", 120);
  write_checkpoint(folder, "run", 180);
  folder.write("run/checkpoints/step-180/manifest.json", "{");
  folder.write("run/checkpoints/.step-200.1/manifest.json", "half written");
  folder.write("run/checkpoints/step-150.abandoned/manifest.json", "of another line of steps");
  const std::vector<DescribedCheckpoint> checkpoints = describe_checkpoints(folder / "run");
  ASSERT_EQ(checkpoints.size(), 3U);
  const std::string fault = "damaged: " + checkpoints.front().fault;
  EXPECT_EQ(checkpoint_table(checkpoints, Colors::kOff, Glyphs::kAscii),
            "step  time                     size  generation  job              ranks\n" +
                std::string(73 + fault.size(), '-') +
                "\n"
                " 180" +
                std::string(69, ' ') + fault +
                "\n"
                " 120  2026-01-31T12:00:00Z  1.02 kB           2  gr-dpo-0123abcd      3  newest\n"
                "  60  2026-01-31T12:00:00Z  1.02 kB           2  gr-dpo-0123abcd      3\n");
}

TEST(CheckpointTable, JsonHasTheSame) {
  const TempFolder folder;
  const auto first = write_checkpoint(folder, "run", 60);
  write_checkpoint(folder, "run", 120);
  folder.write("run/checkpoints/step-120/manifest.json", "{");
  const auto all = CheckpointJson::parse(checkpoint_json(folder / "run", describe_checkpoints(folder / "run")));
  EXPECT_EQ(all.at("output"), (folder / "run").string());
  ASSERT_EQ(all.at("checkpoints").size(), 2U);
  EXPECT_EQ(all["checkpoints"][0].at("step"), 120);
  EXPECT_TRUE(all["checkpoints"][0].at("fault").get<std::string>().starts_with("manifest.json: "));
  EXPECT_FALSE(all["checkpoints"][0].contains("newest"));
  const CheckpointJson expected = {
      {"step", 60},    {"folder", first.string()}, {"time", "2026-01-31T12:00:00Z"}, {"bytes", 1016},
      {"files", 2},    {"generation", 2},          {"job_id", "gr-dpo-0123abcd"},    {"ranks", 3},
      {"newest", true}};
  EXPECT_EQ(all["checkpoints"][1], expected);
}

TEST(CheckpointFormat, NamesEveryFieldOfAManifest) {
  std::ifstream file("../docs/formats.md");
  std::string page{std::istreambuf_iterator<char>(file), {}};
  page.erase(0, page.find("\n### Checkpoints\n"));
  page.erase(page.find("\n### ", 1));
  CheckpointManifest manifest = example_manifest(60);
  manifest.files.push_back({.name = "theta.safetensors", .bytes = 1, .sha256 = {}});
  const auto content = CheckpointJson::parse(manifest_text(manifest));
  std::vector<CheckpointJson> objects = {content, content.at("plan"), content.at("metrics"), content.at("weights"),
                                         content.at("files").at(0)};
  for (const CheckpointJson& object : objects) {
    for (const auto& [name, value] : object.items()) {
      EXPECT_NE(page.find("`" + name + "`"), page.npos) << name;
    }
  }
}

TEST(DescribedCheckpoint, IsCalledByItsFolderOrItsManifest) {
  const TempFolder folder;
  const auto made = write_checkpoint(folder, "run", 60);
  EXPECT_EQ(checkpoint_name(describe_checkpoint(made)), "step 60");
  std::filesystem::rename(made, folder / "run/checkpoints/step-70");
  const DescribedCheckpoint renamed = describe_checkpoint(folder / "run/checkpoints/step-70");
  EXPECT_EQ(renamed.fault, "holds the checkpoint of step 60");
  EXPECT_FALSE(renamed.manifest);
  std::filesystem::rename(folder / "run/checkpoints/step-70", folder / "copy");
  EXPECT_EQ(checkpoint_name(describe_checkpoint(folder / "copy")), "step 60");
  folder.write("copy/manifest.json", "");
  EXPECT_EQ(checkpoint_name(describe_checkpoint(folder / "copy")), "copy");
}

// Such a text was read, and to write it again to compare its digest exhausted the stack.
TEST(DescribedCheckpoint, AManifestThatIsNestedVeryDeeplyIsDamaged) {
  const TempFolder folder;
  const auto made = write_checkpoint(folder, "run", 60);
  constexpr std::size_t kLevels = 1'000'000;
  folder.write("run/checkpoints/step-60/manifest.json",
               R"({"format": 1, "training": )" + std::string(kLevels, '[') + std::string(kLevels, ']') + "}");
  EXPECT_EQ(describe_checkpoint(made).fault, "manifest.json: it is nested deeper than a manifest");
}

TEST(FaultInFolder, LeavesOutTheFolder) {
  EXPECT_EQ(fault_in_folder("/a/b", "/a/b/c: is cut"), "c: is cut");
  EXPECT_EQ(fault_in_folder("/a/b", "/a/b holds another"), "holds another");
  EXPECT_EQ(fault_in_folder("/a/b", "/a/bc: is cut"), "/a/bc: is cut");
  EXPECT_EQ(fault_in_folder("/a/b", "/a/b"), "/a/b");
  EXPECT_EQ(fault_in_folder("/a/b", ""), "");
}

}  // namespace checkpoint_table_test
}  // namespace equipoise
