#include "client/data/preference_import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>
#include <stdexcept>

#include "client/data/preference_writer.h"
#include "common/dataset/data_files.h"
#include "tests/support/preference_lines.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace preference_import_test {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

std::string line(int number, const std::string& group) {
  std::string json = R"({"prompt":"question )";
  json.append(std::to_string(number)).append(R"(","chosen":"a","rejected":"b","group":")").append(group);
  return json.append("\"}\n");
}

class PreferenceImport : public testing::Test {
 protected:
  PreferenceCounts import(const std::vector<fs::path>& files, const PreferenceReadSettings& settings = {}) {
    return import_preferences(files, settings, {.train = output_});
  }

  TempFolder folder_;
  const fs::path output_ = folder_ / "out/all.jsonl";
  const fs::path kept_back_ = folder_ / "out/kept.jsonl";
};

TEST_F(PreferenceImport, WritesThePairsOfAllFilesInOrder) {
  const fs::path a = folder_.write("a.jsonl", line(1, "India") + "\n" + line(2, "Kenya"));
  const fs::path b = folder_.write("b.jsonl", line(3, "Kenya") + line(4, "Peru"));
  const PreferenceCounts counts = import({a, b});
  EXPECT_EQ(read_file(output_), line(1, "India") + line(2, "Kenya") + line(3, "Kenya") + line(4, "Peru"));
  EXPECT_THAT(counts.pairs_of_file, ElementsAre(2, 2));
  EXPECT_EQ(counts.train, 4);
  ASSERT_EQ(counts.groups.size(), 3u);
  EXPECT_EQ(counts.groups[1].group, "Kenya");
  EXPECT_EQ(counts.groups[1].train, 2);
}

TEST_F(PreferenceImport, TellsOfTheBytesOfEveryFormat) {
  std::string text;
  for (int i = 0; i < 3000; ++i) text += line(i, "India");
  const std::vector<fs::path> files = {folder_.write("a.jsonl", text), "golden/tables/messages.parquet",
                                       "golden/tables/saved", "golden/compressed/pairs.jsonl.gz",
                                       "golden/compressed/pairs.jsonl.zst"};
  for (const fs::path& file : files) {
    std::int64_t bytes = 0, calls = 0;
    check_preferences(std::vector<fs::path>{file}, {}, [&](std::int64_t read) {
      EXPECT_GE(read, 0);
      bytes += read;
      ++calls;
    });
    EXPECT_NEAR(static_cast<double>(bytes), static_cast<double>(data_bytes(file)), 64) << file;
    EXPECT_GE(calls, file == files[0] ? 3 : 1);
  }
  EXPECT_EQ(data_bytes(files[0]), std::ssize(text));
  EXPECT_EQ(data_bytes("no/such/file"), 0);
}

TEST_F(PreferenceImport, EndsWithoutAFileWhereWhoeverIsToldThrows) {
  const std::vector<fs::path> files = {folder_.write("a.jsonl", line(1, "India"))};
  EXPECT_THROW(import_preferences(files, {}, {.train = output_}, [](std::int64_t) { throw std::runtime_error("no"); }),
               std::runtime_error);
  EXPECT_TRUE(fs::is_empty(output_.parent_path()));
}

// A batch between the threads has a thousand pairs.
TEST_F(PreferenceImport, KeepsTheOrderOfManyPairs) {
  std::string text;
  for (int i = 0; i < 10000; ++i) text += line(i, std::to_string(i / 7));
  EXPECT_EQ(import({folder_.write("a.jsonl", text)}).groups.size(), 1429u);
  EXPECT_EQ(read_file(output_), text);
}

TEST_F(PreferenceImport, ReadsEveryFormatAlike) {
  const PreferenceCounts counts = import({"golden/tables/messages.parquet", "golden/tables/saved"});
  std::istringstream lines(read_file(output_));
  std::vector<std::string> written;
  for (std::string one; std::getline(lines, one);) written.push_back(one);
  ASSERT_EQ(written.size(), 4u);
  EXPECT_EQ(written[0], written[2]);
  EXPECT_EQ(written[1], written[3]);
  ASSERT_EQ(counts.groups.size(), 2u);
  EXPECT_EQ(counts.groups[0].train, 4);  // India
  EXPECT_EQ(counts.groups[1].train, 2);  // Asia
}

TEST_F(PreferenceImport, LeavesNothingOfAFileWithAFault) {
  std::string text;
  for (int i = 0; i < 3000; ++i) text += line(i, "g");
  const fs::path file = folder_.write("a.jsonl", text + "{}\n");
  EXPECT_THAT([&] { import({file}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("a.jsonl:3001: field \"prompt\" is missing")));
  EXPECT_TRUE(fs::is_empty(folder_ / "out"));
  fs::create_directories(folder_ / "out");
  folder_.write("out/all.jsonl", "before");
  EXPECT_THROW(import({file}), std::invalid_argument);
  EXPECT_EQ(read_file(output_), "before");
}

TEST_F(PreferenceImport, NeverReplacesAFileThatItReads) {
  const fs::path file = folder_.write("a.jsonl", line(1, "India"));
  const std::vector<fs::path> files = {file};
  EXPECT_THROW(import_preferences(files, {.group = "Asia"}, {.train = file}), std::invalid_argument);
  EXPECT_EQ(read_file(file), line(1, "India"));
}

TEST_F(PreferenceImport, KeepsWholePromptsBack) {
  std::string text;
  for (int i = 0; i < 4000; ++i) text += line(i / 2, i % 2 == 0 ? "India" : "Kenya");
  const std::vector<fs::path> files = {folder_.write("a.jsonl", text)};
  const PreferenceOutput output = {.train = output_, .validation = kept_back_, .train_fraction = 0.75};
  const PreferenceCounts counts = import_preferences(files, {}, output);
  EXPECT_EQ(counts.train + counts.validation, 4000);
  // Of 2000 prompts 1500 on average, with a standard deviation of 19.4; both groups have the same prompts.
  EXPECT_NEAR(static_cast<double>(counts.train), 3000, 6 * 2 * 19.4);
  EXPECT_EQ(counts.groups[0].train, counts.groups[1].train);
  EXPECT_EQ(counts.groups[0].validation * 2, counts.validation);
  std::set<std::string> prompts;
  for (const auto& pair : read_preference_file(output_, Rejected::kRequired).pairs) prompts.insert(pair.prompt);
  for (const auto& pair : read_preference_file(kept_back_, Rejected::kRequired).pairs) {
    EXPECT_FALSE(prompts.contains(pair.prompt)) << pair.prompt;
  }
  const std::string first = read_file(output_);
  import_preferences(files, {}, output);
  EXPECT_EQ(read_file(output_), first);
  import_preferences(files, {}, {.train = output_, .validation = kept_back_, .train_fraction = 0.75, .seed = 2});
  EXPECT_NE(read_file(output_), first);
}

TEST_F(PreferenceImport, RefusesASideWithoutPairsAndOneFileForBoth) {
  const std::vector<fs::path> files = {folder_.write("a.jsonl", line(1, "g"))};
  EXPECT_THAT([&] { import_preferences(files, {}, {.train = output_, .validation = kept_back_}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("no pairs are left for it")));
  EXPECT_TRUE(fs::is_empty(folder_ / "out"));
  EXPECT_THAT(
      [&] { import_preferences(files, {}, {.train = output_, .validation = folder_ / "out/../out/all.jsonl"}); },
      ThrowsMessage<std::invalid_argument>(HasSubstr("for both train and validation")));
  EXPECT_THROW(import_preferences(files, {}, {.train = output_, .train_fraction = 1}), std::invalid_argument);
}

TEST_F(PreferenceImport, LeavesOutARejectedAnswerThatIsNotThere) {
  const std::string text = R"({"prompt":"p","chosen":"c","group":"g"})"
                           "\n";
  import({folder_.write("a.jsonl", text)}, {.rejected = Rejected::kOptional});
  EXPECT_EQ(read_file(output_), text);
}

TEST_F(PreferenceImport, CheckingCountsWithoutWriting) {
  const std::vector<fs::path> files = {folder_.write("a.jsonl", line(1, "India") + line(2, "Kenya"))};
  const PreferenceCounts counts = check_preferences(files, {});
  EXPECT_EQ(counts.train, 2);
  EXPECT_EQ(counts.groups.size(), 2u);
  EXPECT_FALSE(fs::exists(folder_ / "out"));
}

TEST_F(PreferenceImport, CountsEqualAndEmptyAnswersAndDuplicatesByGroup) {
  const auto pair = [](const std::string& chosen, const std::string& rejected, const std::string& group) {
    return R"({"prompt":"p","chosen":)" + chosen + R"(,"rejected":)" + rejected + R"(,"group":")" + group + "\"}\n";
  };
  const fs::path file = folder_.write("a.jsonl", pair(R"("a")", R"("b")", "x") + pair(R"("a")", R"("b")", "y") +
                                                     pair(R"("a")", R"("b")", "x") + pair(R"("a")", R"("a")", "y") +
                                                     pair(R"(" ")", R"("b")", "y") + pair(R"("b")", R"("a")", "x"));
  const std::vector<fs::path> files = {file, file};
  const PreferenceCounts once = check_preferences(std::span(files).first(1), {});
  EXPECT_EQ(once.groups.at(0).duplicates, 1);
  EXPECT_EQ(once.groups.at(0).equal_answers, 0);
  EXPECT_EQ(once.groups.at(1).duplicates, 0);
  EXPECT_EQ(once.groups.at(1).equal_answers, 1);
  EXPECT_EQ(once.groups.at(1).empty_answers, 1);
  EXPECT_TRUE(once.all_duplicates_found);
  EXPECT_EQ(check_preferences(files, {}).groups.at(0).duplicates, 4) << "other files count too";
}

TEST_F(PreferenceImport, NeverWritesOverItsInput) {
  fs::create_directory(folder_ / "in");
  const fs::path input = folder_.write("in/a.jsonl", line(1, "India") + "\n");
  fs::create_symlink(input, folder_ / "link.jsonl");
  fs::create_hard_link(input, folder_ / "hard.jsonl");
  const auto refuses = [&](const fs::path& file, const PreferenceOutput& output, const std::string& why) {
    EXPECT_THAT([&] { import_preferences(std::vector<fs::path>{file}, {}, output); },
                ThrowsMessage<std::invalid_argument>(HasSubstr(why)));
  };
  const std::string same = ": is the file of " + input.string();
  refuses(input, {.train = input}, input.string() + same);
  refuses(input, {.train = folder_ / "link.jsonl"}, "link.jsonl" + same);
  refuses(input, {.train = folder_ / "hard.jsonl"}, "hard.jsonl" + same);
  refuses(input, {.train = output_, .validation = input}, input.string() + same);
  refuses(folder_ / "link.jsonl", {.train = input}, ": is the file of " + (folder_ / "link.jsonl").string());
  refuses(folder_ / "in", {.train = input}, ": is the file of " + (folder_ / "in").string());
  refuses(folder_ / "in", {.train = folder_ / "in/new.jsonl"}, ": is in the folder of " + (folder_ / "in").string());
  EXPECT_EQ(read_file(input), line(1, "India") + "\n");
  EXPECT_FALSE(fs::exists(folder_ / "out"));
}

TEST_F(PreferenceImport, NamesHowManyFilesANoteIsOf) {
  const std::string row = R"({"prompt":"p","chosen":"c","rejected":"r","margin":1)";
  std::vector<fs::path> files;
  for (const char* name : {"a", "b", "c"}) files.push_back(folder_.write(name, row + "}"));
  files.push_back(folder_.write("d", row + R"(,"id":1})"));
  const PreferenceCounts counts = check_preferences(files, {});
  EXPECT_THAT(counts.notes, ElementsAre(HasSubstr("/a and 2 more files: fields that are not used: \"margin\""),
                                        HasSubstr("/d: fields that are not used: \"margin\"")));
}

// Three groups in place of one, and nobody said so before training.
TEST_F(PreferenceImport, NamesGroupsThatDifferInBlanksOrCapitalsAlone) {
  std::string lines;
  for (const char* group : {"north", "North ", "no rth", "n\u00a0orth", "south"}) {
    lines += std::string(R"({"prompt":"p","chosen":"c","rejected":"r","group":")") + group + "\"}\n";
  }
  const std::vector<fs::path> files = {folder_.write("a.jsonl", lines)};
  const PreferenceCounts counts = check_preferences(files, {});
  EXPECT_EQ(counts.groups.size(), 5U);
  EXPECT_THAT(counts.notes, ElementsAre("groups \"north\", \"North \", \"no rth\", \"n\u00a0orth\" differ in spaces or "
                                        "capital letters alone and are apart"));
}

TEST_F(PreferenceImport, CountsMessagesWithoutContent) {
  const auto messages = [](const std::string& answer) {
    return R"({"prompt":[{"role":"user","content":"?"}],"chosen":[{"role":"assistant",)" + answer +
           R"(}],"rejected":[{"role":"assistant","content":"no"}]})" + "\n";
  };
  const std::vector<fs::path> files = {
      folder_.write("a.jsonl", messages(R"("content": "")") + messages(R"("content":"","tool_calls":[{"name":"f"}])") +
                                   messages(R"("content":"yes")"))};
  EXPECT_EQ(check_preferences(files, {}).groups.at(0).empty_answers, 1);
}

TEST(PreferenceText, IsEscapedAsJsonWantsIt) {
  std::string every = "é☕";
  for (int byte = 0; byte < 0x80; ++byte) every += static_cast<char>(byte);
  const TempFolder folder;
  PreferenceData data;
  data.group_names = {"g"};
  data.pairs = {{.prompt = every, .chosen = every, .rejected = "\"\\", .memberships = {{0, 1}}}};
  write_preference_file(data, folder / "a.jsonl");
  const PreferencePair back = read_preference_file(folder / "a.jsonl", Rejected::kRequired).pairs.at(0);
  EXPECT_EQ(back.prompt, every);
  EXPECT_EQ(back.chosen, every);
  EXPECT_EQ(back.rejected, "\"\\");
}

}  // namespace preference_import_test
}  // namespace equipoise
