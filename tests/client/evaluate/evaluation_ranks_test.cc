#include "client/evaluate/evaluation_ranks.h"

#include <gtest/gtest.h>

#include <sstream>

namespace equipoise {
namespace evaluation_ranks_test {

using std::chrono::seconds;

struct Shown {
  std::ostringstream out, err;
  EvaluationDisplay display;
  std::chrono::steady_clock::time_point start{};
  explicit Shown(OutputKind kind)
      : display(Console{.out = out, .err = err, .kind = kind, .colors = Colors::kOff, .glyphs = Glyphs::kAscii}) {}
};

TEST(EvaluationDisplay, IsALineForEachActivityAndEveryTenSeconds) {
  Shown shown(OutputKind::kPlain);
  shown.display.show({"reading data", 0}, shown.start);
  shown.display.show({"reading data", 0}, shown.start + seconds(20));
  shown.display.show({"policy log-probs", 0}, shown.start + seconds(20));
  shown.display.show({"policy log-probs", 10}, shown.start + seconds(29));
  shown.display.show({"policy log-probs", 12}, shown.start + seconds(30));
  shown.display.finish();
  EXPECT_EQ(shown.out.str(),
            "evaluate  reading data\n"
            "evaluate  policy log-probs\n"
            "evaluate  policy log-probs  12 %\n");
}

TEST(EvaluationDisplay, LeavesATerminalAsItWas) {
  Shown shown(OutputKind::kTerminal);
  shown.display.show({"policy log-probs", 50}, shown.start);
  shown.display.note("stopping");
  shown.display.finish();
  const std::string text = shown.out.str();
  EXPECT_NE(text.find("50/100"), std::string::npos) << text;
  EXPECT_NE(text.find("stopping\n"), std::string::npos) << text;
  EXPECT_TRUE(text.starts_with("\x1b[?25l"));
  EXPECT_TRUE(text.ends_with("\r\x1b[2K\x1b[?25h"));
}

}  // namespace evaluation_ranks_test
}  // namespace equipoise
