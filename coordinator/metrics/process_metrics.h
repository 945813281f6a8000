// What Prometheus' client libraries tell of their process, under the names that all of them use.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

namespace equipoise::coordinator {

// As the kernel says now, of this process. What cannot be read is left out, such as where no descriptor is free.
std::vector<prometheus::MetricFamily> process_families();

}  // namespace equipoise::coordinator
