#include "client/report/state_color.h"

namespace equipoise {

TextColor job_state_color(const std::string& state) {
  if (state == "SUCCEEDED") return TextColor::kGreen;
  if (state == "FAILED") return TextColor::kRed;
  if (state == "RUNNING") return TextColor::kCyan;
  const bool is_held_up = state == "RECOVERING" || state == "PAUSING" || state == "PAUSED" || state == "CANCELLING";
  return is_held_up ? TextColor::kYellow : TextColor::kNone;
}

TextColor host_state_color(const std::string& state) {
  if (state == "UNANSWERING") return TextColor::kRed;
  return state == "CORDONED" ? TextColor::kYellow : TextColor::kNone;
}

TextColor verdict_color(const std::string& verdict) { return verdict == "ok" ? TextColor::kGreen : TextColor::kRed; }

}  // namespace equipoise
