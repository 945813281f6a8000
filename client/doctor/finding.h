// What `equipoise doctor` has to say: one line a check.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/console/console.h"

namespace equipoise {

enum class Health : std::uint8_t { kOk, kWarn, kFail };

struct DoctorFinding {
  Health health = Health::kOk;
  std::string check;   // "mpirun": the same name whatever was found
  std::string found;   // "Open MPI 4.1.4", one line
  std::string advice;  // what to do; empty where all is well
};

using DoctorFindings = std::vector<DoctorFinding>;

// A line each, with its advice below. Whatever a finding says, a terminal is safe from it.
std::string findings_text(const DoctorFindings& findings, Colors colors);

// {"checks": [{"check": ..., "health": "ok", "found": ..., "advice": ...}], "worst": "warn"}, and a newline.
std::string findings_json(const DoctorFindings& findings);

Health worst_health(const DoctorFindings& findings);

// "/home/ada/runs" is "~/runs" for a home of "/home/ada": what people paste does not say who they are.
std::string without_home(std::string text, const std::string& home);

}  // namespace equipoise
