// TensorBoard's event files of a run, in tensorboard/ of its output: the numbers of metrics.jsonl under the names that
// the Hugging Face trainer gives them, train/loss and eval/loss. Written where `logging.tensorboard` is set.
//
// A file is a sequence of TFRecords, each a message tensorflow.Event. Neither format has changed since 2015, and both
// are written here by hand: https://www.tensorflow.org/tutorials/load_data/tfrecord, tensorflow/core/util/event.proto.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/descriptor.h"
#include "common/base/disk_fault.h"
#include "worker/training/metrics_file.h"

namespace equipoise {

// CRC-32C (Castagnoli), of "123456789" 0xe3069283.
std::uint32_t crc32c(std::string_view bytes);

// length uint64 | masked CRC of it uint32 | bytes | masked CRC of them uint32, all little-endian.
std::string tf_record(std::string_view bytes);

// The Event of a line of metrics.jsonl: its step and every number at its top, as float32. Those of an evaluation are
// eval/NAME, where several files are evaluated eval/FILE_NAME of one; of a test test/NAME/GROUP.
//   wall_time  seconds since 1970
std::string event_of_line(const MetricsJson& line, double wall_time);

// Not thread-safe.
class TensorboardFile {
 public:
  struct Beginning {
    std::int64_t steps_done = 0;  // lines of later steps, which an earlier attempt wrote, do not count any more
    std::int64_t kept_bytes = 0;  // of metrics.jsonl: its lines up to steps_done
  };
  // Begins a file beside those of earlier attempts. Where there are none, the kept lines of metrics.jsonl are its
  // first. Throws std::invalid_argument if it cannot, DiskFault where the disk is full.
  //   patience  for room on the disk, once this has begun; empty: none
  TensorboardFile(const std::filesystem::path& output, const Beginning& beginning, DiskPatience patience = {});

  // Each line is in the file when this returns. Throws as throw_write_fault().
  void write(const MetricsJson& line);

 private:
  void copy_lines(const std::filesystem::path& output, const Beginning& beginning);
  void put(const std::string& event);

  std::filesystem::path path_;
  DiskPatience patience_;
  std::unique_ptr<Descriptor> file_;
};

}  // namespace equipoise
