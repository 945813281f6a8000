#include "client/console/console.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>

namespace equipoise {
namespace console_test {

// Descriptor 1 is another one meanwhile.
class InPlaceOfStandardOutput {
 public:
  explicit InPlaceOfStandardOutput(int descriptor) : before_(::dup(STDOUT_FILENO)) {
    ::dup2(descriptor, STDOUT_FILENO);
    ::close(descriptor);
  }
  ~InPlaceOfStandardOutput() {
    ::dup2(before_, STDOUT_FILENO);
    ::close(before_);
    std::signal(SIGPIPE, SIG_DFL);
  }

 private:
  int before_;
};

// `train job.yaml | head -1` ended the training.
TEST(StandardOutput, AReaderThatLeavesIsNoFailure) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const InPlaceOfStandardOutput place(ends[1]);
  StandardOutput output;
  std::cout << "first\n" << std::flush;
  char text[16] = {};
  ASSERT_EQ(::read(ends[0], text, sizeof text), 6);
  ::close(ends[0]);
  std::cout << std::string(100'000, 'x') << std::endl;
  EXPECT_TRUE(std::cout.good());
}

TEST(StandardOutput, AFullDiskIsOne) {
  const InPlaceOfStandardOutput place(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  StandardOutput output;
  std::cout << "lost" << std::flush;
  EXPECT_FALSE(std::cout.good());
  std::cout.clear();
}

TEST(StandardOutput, WritesAllInOrderAndWhatIsLeftAtTheEnd) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  std::string expected;
  {
    const InPlaceOfStandardOutput place(ends[1]);
    StandardOutput output;
    for (int i = 0; i < 2000; ++i) {
      std::cout << i << '\n';
      expected += std::to_string(i) + "\n";
    }
  }
  std::string read(expected.size() + 1, '\0');
  std::size_t size = 0;
  for (ssize_t n = 0; (n = ::read(ends[0], read.data() + size, read.size() - size)) > 0;) {
    size += static_cast<std::size_t>(n);
  }
  ::close(ends[0]);
  read.resize(size);
  EXPECT_EQ(read, expected);
}

// Standard output of this test may be anything: it is a pipe meanwhile, or a terminal.
Console console_with(const std::map<std::string, std::string>& environment, int descriptor) {
  for (const char* name : {"NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"}) ::unsetenv(name);
  ::setenv("TERM", "xterm", 1);
  for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
  const InPlaceOfStandardOutput place(descriptor);
  return standard_console();
}

int open_terminal() {
  static const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  ::grantpt(terminal);
  ::unlockpt(terminal);
  return ::open(::ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
}

Colors colors_elsewhere(const std::map<std::string, std::string>& environment) {
  return console_with(environment, ::open("/dev/null", O_WRONLY | O_CLOEXEC)).colors;
}

Colors colors_on_terminal(const std::map<std::string, std::string>& environment) {
  return console_with(environment, open_terminal()).colors;
}

TEST(StandardConsole, HasColoursOnATerminalUnlessTheyAreNotWanted) {
  EXPECT_EQ(colors_on_terminal({}), Colors::kOn);
  EXPECT_EQ(colors_on_terminal({{"NO_COLOR", ""}}), Colors::kOn) << "empty is not set";
  EXPECT_EQ(colors_on_terminal({{"NO_COLOR", "1"}}), Colors::kOff);
  EXPECT_EQ(colors_on_terminal({{"NO_COLOR", "0"}}), Colors::kOff) << "whatever it says";
  EXPECT_EQ(colors_on_terminal({{"CLICOLOR", "0"}}), Colors::kOff);
  EXPECT_EQ(colors_on_terminal({{"TERM", "dumb"}}), Colors::kOff);
  EXPECT_EQ(console_with({{"TERM", "dumb"}}, open_terminal()).kind, OutputKind::kPlain);
  EXPECT_EQ(console_with({{"NO_COLOR", "1"}}, open_terminal()).kind, OutputKind::kTerminal);
}

TEST(StandardConsole, HasColoursElsewhereOnlyByForce) {
  EXPECT_EQ(colors_elsewhere({}), Colors::kOff);
  EXPECT_EQ(colors_elsewhere({{"CLICOLOR_FORCE", "0"}}), Colors::kOff);
  EXPECT_EQ(colors_elsewhere({{"CLICOLOR_FORCE", "1"}}), Colors::kOn);
  EXPECT_EQ(colors_elsewhere({{"CLICOLOR_FORCE", "1"}, {"NO_COLOR", "1"}}), Colors::kOff);
  const Console forced = console_with({{"CLICOLOR_FORCE", "1"}}, ::open("/dev/null", O_WRONLY | O_CLOEXEC));
  EXPECT_EQ(forced.kind, OutputKind::kPlain) << "no line is drawn again in a file";
}

TEST(Colored, ChangesNothingWithoutColours) {
  EXPECT_EQ(colored("a", TextColor::kRed, Colors::kOff), "a");
  EXPECT_EQ(colored("a", TextColor::kNone, Colors::kOn), "a");
  EXPECT_EQ(colored("a", TextColor::kGreen, Colors::kOn), "\x1b[32ma\x1b[0m");
}

}  // namespace console_test
}  // namespace equipoise
