#include "client/console/console.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <iostream>
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

}  // namespace console_test
}  // namespace equipoise
