#include "common/summary/plain_text.h"

#include <gmock/gmock.h>
#include <yaml-cpp/yaml.h>

namespace equipoise {
namespace {

TEST(PlainText, IsOneLineWithoutWhatCannotBeSeen) {
  EXPECT_EQ(plain_line("a\nb\r\tc\x7F"), "a b  c ");
  EXPECT_EQ(plain_line("Old Harbor é 🙂"), "Old Harbor é 🙂");
  EXPECT_EQ(plain_line("a\u202Eb\u200Bc\uFEFF"), "a\uFFFDb\uFFFDc\uFFFD");
  EXPECT_EQ(plain_line("a\xFF\xC3"), "a\uFFFD\uFFFD");
  EXPECT_EQ(plain_line("\u0085\u2028"), "  ");
  EXPECT_EQ(plain_line("éééé", 5), "éé…") << "no character is cut in two";
}

TEST(PlainText, IsNoMarkdown) {
  EXPECT_EQ(markdown_line("a|b <img src=x> *c* [d](e) `f` $g$ @h"),
            "a\\|b \\<img src=x\\> \\*c\\* \\[d\\]\\(e\\) \\`f\\` \\$g\\$ \\@h");
  EXPECT_EQ(markdown_line("https://evil www.evil.com"), "https\\://evil www\\.evil.com");
  EXPECT_EQ(markdown_line("- a"), "\\- a");
  EXPECT_EQ(markdown_line("# a\n# b"), "\\# a \\# b");
}

TEST(PlainText, StaysInsideOfItsBlock) {
  EXPECT_EQ(markdown_block("a\n```\nb\n", "yaml"), "````yaml\na\n```\nb\n````\n");
  EXPECT_EQ(markdown_block("a", ""), "```\na\n```\n");
}

TEST(PlainText, ReadsBackFromYaml) {
  for (const std::string text :
       {"a", "", "- a", "a: b # c", "\"\\", "no", "1.0", "{a: [", "'", "Grün 🙂", "%TAG", "---"}) {
    EXPECT_EQ(YAML::Load("key: " + yaml_scalar(text) + "\nnext: 1\n")["key"].Scalar(), text);
  }
}

TEST(PlainText, CannotEndAnElement) {
  EXPECT_EQ(json_in_html(R"(["</script><!--"])"), R"(["\u003c/script>\u003c!--"])");
  EXPECT_EQ(html_line("<b>\"&'{{run}}"), "&lt;b&gt;&quot;&amp;'&#123;&#123;run}}");
}

}  // namespace
}  // namespace equipoise
