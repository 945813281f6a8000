#include "common/config/data_config.h"

#include "common/config/field_check.h"
#include "common/config/set_enum.h"

namespace equipoise {

DataConfig data_config(const v1::DataSpec& spec) {
  DataConfig config;
  config.train = checked_path("data.train", spec.train());
  if (spec.has_validation()) config.validation = checked_path("data.validation", spec.validation());
  if (spec.has_test()) config.test = checked_path("data.test", spec.test());
  if (spec.has_max_length()) {
    config.max_length = static_cast<int>(checked_integer("data.max_length", spec.max_length(), {2, 1 << 20}));
  }
  if (spec.has_shuffle()) config.shuffle = spec.shuffle();
  config.group_counts = checked_group_numbers("data.group_counts", spec.group_counts());
  return config;
}

}  // namespace equipoise
