#include "common/robust/step_schedule.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "common/base/message_text.h"

namespace equipoise {

StepSchedule::StepSchedule(const char* field, double step_size, PlateauSettings plateau)
    : plateau_(plateau), state_{.step_size = step_size} {
  const std::string name = field;
  check_number(std::isfinite(step_size) && step_size >= 0, name, step_size, "a finite number >= 0");
  check_number(plateau.factor > 0 && plateau.factor <= 1, name + ".factor", plateau.factor, "a number in (0, 1]");
  check_number(plateau.patience >= 1, name + ".patience", static_cast<double>(plateau.patience), "at least 1");
  check_number(plateau.threshold >= 0 && plateau.threshold < 1, name + ".threshold", plateau.threshold,
               "a number in [0, 1)");
  check_number(std::isfinite(plateau.smallest) && plateau.smallest >= 0, name + ".smallest", plateau.smallest,
               "a finite number >= 0");
}

void StepSchedule::observe(double loss) {
  const double wanted =
      std::isinf(state_.best) ? state_.best : state_.best - plateau_.threshold * std::abs(state_.best);
  const bool fell = loss < wanted;
  if (fell) state_.best = loss;
  state_.waited = fell ? 0 : state_.waited + 1;
  if (state_.waited < plateau_.patience) return;
  state_.waited = 0;
  if (state_.step_size <= plateau_.smallest) return;
  state_.step_size = std::max(state_.step_size * plateau_.factor, plateau_.smallest);
}

}  // namespace equipoise
