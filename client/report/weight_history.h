// The history of alpha as text for other programs.
#pragma once

#include <memory>
#include <ostream>

#include "equipoise/v1/training.pb.h"

namespace equipoise {

// Takes the pages of a ListGroupWeights in order.
class WeightHistoryWriter {
 public:
  virtual ~WeightHistoryWriter() = default;
  virtual void add(const v1::ListGroupWeightsResponse& page) = 0;
  virtual void finish() = 0;
};

// "step,generation,GROUP,..." and a line per step, as RFC 4180 has it. Numbers read back to the same bits.
std::unique_ptr<WeightHistoryWriter> make_csv_writer(std::ostream& out);
// A list of {"step", "generation", "alpha": {GROUP: number, ...}}.
std::unique_ptr<WeightHistoryWriter> make_json_writer(std::ostream& out);

}  // namespace equipoise
