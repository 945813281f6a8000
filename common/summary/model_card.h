// The model card of a run: README.md of its final/, with the metadata that Hugging Face's hub reads.
#pragma once

#include <string>

#include "common/summary/run_summary.h"

namespace equipoise {

inline constexpr const char* kModelCardName = "README.md";  // in final/

// Markdown behind a block of YAML. It follows from the training alone: a run that was interrupted and went on has the
// card of one that was not. Groups are the worst off first, 64 at most.
std::string model_card(const RunSummary& summary);

}  // namespace equipoise
