// Work on files of jobs that nobody waits for. Their file systems may not answer for hours, as one over a network whose
// server is gone, and the core does one thing at a time: so it asks for no file itself.
#pragma once

#include <filesystem>
#include <functional>

namespace equipoise::coordinator {

class FileErrands {
 public:
  virtual ~FileErrands() = default;
  // `work` on files at or below `place` is done by and by, in any order with other work, perhaps on another thread, and
  // where the file system never answers not at all. It throws nothing, and owns all that it uses.
  virtual void run_errand(const std::filesystem::path& place, std::function<void()> work) = 0;
};

// Done when run_errand() returns: the same calls do the same.
class ErrandsAtOnce final : public FileErrands {
 public:
  void run_errand(const std::filesystem::path& /*place*/, std::function<void()> work) override { work(); }
};

}  // namespace equipoise::coordinator
