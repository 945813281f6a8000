#include "common/metrics/metrics_schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace equipoise::metrics_schema {
namespace metrics_schema_test {

using ::testing::ElementsAreArray;

const char* type_name(Type type) {
  switch (type) {
    case Type::kInteger:
      return "integer";
    case Type::kNumber:
      return "number";
    case Type::kText:
      return "text";
    case Type::kFlag:
      return "true";
    case Type::kNumbers:
      return "list of numbers";
    case Type::kByGroup:
      return "group → number";
  }
  return "";
}

std::string lines_text(unsigned lines) {
  std::string text;
  for (const auto& [line, name] : {std::pair{kStepLine, "step"},
                                   {kEvaluationLine, "evaluation"},
                                   {kTestLine, "test"},
                                   {kSettingsLine, "settings"}}) {
    if ((lines & line) != 0) text += (text.empty() ? "" : ", ") + std::string(name);
  }
  return text;
}

// A row of the table of docs/formats.md, but for what it means.
std::vector<std::string> row_of(const Field& field, const std::string& name) {
  std::string shown = field.prefix == Prefix::kEval ? "[eval_]" + name : name;
  if (field.error == Error::kStandard) shown += "[_error]";
  return {"`" + shown + "`", type_name(field.type), field.unit == "1" ? "" : std::string(field.unit),
          lines_text(field.lines)};
}

std::string trimmed(const std::string& text) {
  const auto begin = text.find_first_not_of(' '), end = text.find_last_not_of(' ');
  return begin == std::string::npos ? "" : text.substr(begin, end - begin + 1);
}

std::vector<std::string> cells(const std::string& row) {
  std::vector<std::string> result;
  std::size_t begin = 1;
  for (std::size_t end = row.find('|', begin); end != std::string::npos; end = row.find('|', begin)) {
    result.push_back(trimmed(row.substr(begin, end - begin)));
    begin = end + 1;
  }
  return result;
}

// The rows below "| field | type | unit | lines | meaning |".
std::vector<std::vector<std::string>> documented() {
  std::ifstream page("../docs/formats.md");
  std::string line;
  while (std::getline(page, line) && !line.starts_with("| field | type | unit | lines |")) continue;
  std::getline(page, line);  // the rule below the names
  std::vector<std::vector<std::string>> rows;
  while (std::getline(page, line) && line.starts_with("|")) rows.push_back(cells(line));
  return rows;
}

TEST(MetricsSchema, IsTheTableOfTheDocs) {
  std::vector<std::vector<std::string>> expected;
  for (const Field* field : kFields) expected.push_back(row_of(*field, std::string(field->name)));
  for (const Field* field : kFlatFields) expected.push_back(row_of(*field, flat_name("NAME", field->name)));
  std::vector<std::vector<std::string>> found;
  for (std::vector<std::string> row : documented()) {
    ASSERT_EQ(row.size(), 5U) << row.front();
    EXPECT_FALSE(row.back().empty()) << row.front() << " has no meaning";
    row.pop_back();
    found.push_back(row);
  }
  EXPECT_THAT(found, ElementsAreArray(expected));
}

// A reader must know from a name alone which field it is.
TEST(MetricsSchema, HasNoTwoFieldsOfOneName) {
  std::set<std::string> names;
  for (const Field* field : kFields) {
    const std::string name(field->name);
    for (const std::string& prefix : {std::string(), std::string(kEvalPrefix)}) {
      if (!prefix.empty() && field->prefix == Prefix::kNone) continue;
      EXPECT_TRUE(names.insert(prefix + name).second) << prefix + name;
      if (field->error == Error::kNone) continue;
      EXPECT_TRUE(names.insert(prefix + name + std::string(kErrorSuffix)).second) << prefix + name << "_error";
    }
  }
}

TEST(MetricsSchema, GroupFieldsCarryTheGroupsName) { EXPECT_EQ(flat_name("India", "loss"), "group/India/loss"); }

}  // namespace metrics_schema_test
}  // namespace equipoise::metrics_schema
