#include "client/data/csv_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace csv_reader_test {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

std::vector<std::vector<std::string>> records(const std::string& content) {
  const TempFolder folder;
  CsvReader reader(folder.write("table.csv", content));
  std::vector<std::vector<std::string>> all;
  while (reader.next()) all.push_back(reader.fields());
  return all;
}

void expect_refused(const std::string& content, const std::string& line, const std::string& what) {
  EXPECT_THAT([&] { records(content); },
              ThrowsMessage<std::invalid_argument>(AllOf(HasSubstr("table.csv:" + line + ": "), HasSubstr(what))))
      << content;
}

TEST(CsvReader, ReadsPlainAndQuotedFieldsWithEitherLineEnd) {
  EXPECT_THAT(records("a,\"b, c\",\r\n,\"\",\"say \"\"yes\"\"\"\n\r\nlast"),
              ElementsAre(ElementsAre("a", "b, c", ""), ElementsAre("", "", "say \"yes\""), ElementsAre("last")));
}

TEST(CsvReader, KeepsLineEndsInsideQuotes) {
  EXPECT_THAT(records("\"one\n\ntwo\r\nthree\",x\n"), ElementsAre(ElementsAre("one\n\ntwo\r\nthree", "x")));
}

TEST(CsvReader, SkipsAByteOrderMark) {
  EXPECT_THAT(records("\xEF\xBB\xBF"
                      "a,b\n"),
              ElementsAre(ElementsAre("a", "b")));
}

TEST(CsvReader, NamesTheLineWhereARecordBegins) {
  const TempFolder folder;
  CsvReader reader(folder.write("table.csv", "a\n\"two\nlines\"\nb\n"));
  std::vector<std::int64_t> lines;
  while (reader.next()) lines.push_back(reader.line_number());
  EXPECT_THAT(lines, ElementsAre(1, 2, 4));
}

TEST(CsvReader, RefusesQuotesInTheWrongPlace) {
  expect_refused("a\nb\"c\n", "2", "field 1 has a quote inside");
  expect_refused("a\nx,\"b\"c\n", "2", "field 2 goes on with \"c\"");
  expect_refused("a\nx,\"b\nc\n", "2", "field 2 begins with a quote and does not end");
  expect_refused("a\rb\n", "1", "carriage return");
}

TEST(CsvReader, RefusesWhatIsNoText) { expect_refused("a\n\xFF\n", "2", "is not UTF-8"); }

// A forgotten quote would otherwise swallow the file.
TEST(CsvReader, RefusesARecordWithoutEnd) {
  std::string content = "a\n\"";
  for (int i = 0; i < 20000; ++i) content += std::string(99, 'x') + "\n";
  expect_refused(content, "2", "longer than 1048576 bytes");
}

TEST(CsvReader, NamesAFileThatIsNotThere) {
  EXPECT_THAT([] { CsvReader("/nowhere/table.csv"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("/nowhere/table.csv")));
}

}  // namespace csv_reader_test
}  // namespace equipoise
