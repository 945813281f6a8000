#include "client/report/job_summary.h"

#include <gtest/gtest.h>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace job_summary_test {

std::string notes_of(const std::string& json) {
  const TempFolder folder;
  folder.write("data.json", json);
  return data_notes(folder.path());
}

TEST(DataNotes, SayWhatEachSplitLost) {
  EXPECT_EQ(notes_of(R"({"train": [{"pairs": 90, "dropped": 3, "shortened": 2},
                                   {"pairs": 90, "dropped": 0, "shortened": 10, "merged_prompts": 7}],
                         "validation": {"pairs": 20, "dropped": 1, "shortened": 0, "repeated_prompts": 20}})"),
            "3 of 183 training pairs are left out and 12 are shortened; data.json says of which groups\n"
            "7 of 180 training pairs have a prompt whose end merges into the answers' tokens\n"
            "1 of 21 validation pairs are left out and 0 are shortened; data.json says of which groups\n"
            "20 of 20 validation pairs repeat their prompt in the answers\n");
}

TEST(DataNotes, SayNothingWhereNothingWasLostOrKnown) {
  EXPECT_EQ(notes_of(R"({"train": {"pairs": 90, "dropped": 0, "shortened": 0}})"), "");
  for (const char* text : {"", "[]", "{", R"({"train": 3})", R"({"train": [1, {"dropped": "x"}]})"}) {
    EXPECT_EQ(notes_of(text), "") << text;
  }
  EXPECT_EQ(data_notes("no/such/folder"), "");
}

}  // namespace job_summary_test
}  // namespace equipoise
