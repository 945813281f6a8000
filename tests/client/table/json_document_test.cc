#include "client/table/json_document.h"

#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace equipoise {
namespace json_document_test {

using Json = nlohmann::ordered_json;

TEST(JsonDocument, KeepsOrderAndEveryBit) {
  const double third = 1.0 / 3;
  const Json value = {{"z", third}, {"a", std::numeric_limits<double>::denorm_min()}, {"nan", std::nan("")}};
  const std::string text = json_document(value);
  EXPECT_EQ(text, "{\n  \"z\": 0.3333333333333333,\n  \"a\": 5e-324,\n  \"nan\": null\n}\n");
  EXPECT_EQ(Json::parse(text).at("z").get<double>(), third);
}

TEST(JsonDocument, IsUtf8WhateverAFileIsCalled) {
  EXPECT_EQ(json_document({{"file", "a\xff"}}), "{\n  \"file\": \"a\uFFFD\"\n}\n");
}

TEST(YamlOfJson, IsBlocksOfPlainWordsAndQuotedTexts) {
  EXPECT_EQ(yaml_of_json(R"({"jobs": [{"id": "gr-dpo-1", "at": "2026-11-30 12:00", "none": [], "map": {},
                             "groups": [{"name": "x"}, {"name": "y y"}], "step": 7}, 2, [3, [4]]], "next": null})"),
            "jobs:\n"
            "- id: gr-dpo-1\n"
            "  at: \"2026-11-30 12:00\"\n"
            "  none: []\n"
            "  map: {}\n"
            "  groups:\n"
            "  - name: x\n"
            "  - name: \"y y\"\n"
            "  step: 7\n"
            "- 2\n"
            "- - 3\n"
            "  - - 4\n"
            "next: null\n");
  EXPECT_EQ(yaml_of_json("[]"), "[]\n");
  EXPECT_EQ(yaml_of_json("1e-7"), "1.0e-07\n") << "YAML 1.1 takes 1e-07 for a text";
}

// Whatever a text says, it is read as that text.
TEST(YamlOfJson, TextsAreReadBackAsTheyAre) {
  for (const std::string text :
       {"",       "yes",    "No",         "null",       "~",    "1",     "1e5",    "0x1f",   ".nan",   "a: b",
        "- a",    "#a",     "a #b",       "{a}",        "[a",   "&a",    "*a",     "!a",     "%a",     "@a",
        "`a",     "'",      "\"",         "\\",         "a\nb", "tab\t", "\x7f",   "\u0085", "\u009f", "\u2028",
        "\ufeff", "\uffff", "K\u00fche",  "\U0001F600", " a",   "a ",    "/tmp/a", "on",     "-",      "?",
        "<<",     "=",      "2026-11-30", "12:30:45",   "_",    "a_b-c"}) {
    const std::string yaml = yaml_of_json(Json{{text, {text, {{"k", text}}}}}.dump());
    const YAML::Node read = YAML::Load(yaml);
    ASSERT_TRUE(read.IsMap()) << yaml;
    EXPECT_EQ(read.begin()->first.Scalar(), text) << yaml;
    const YAML::Node list = read.begin()->second;
    EXPECT_EQ(list[0].Scalar(), text) << yaml;
    EXPECT_EQ(list[1]["k"].Scalar(), text) << yaml;
  }
}

}  // namespace json_document_test
}  // namespace equipoise
