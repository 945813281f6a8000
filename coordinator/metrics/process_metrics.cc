#include "coordinator/metrics/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>

#include "common/process/process_handle.h"
#include "coordinator/metrics/metric_names.h"

namespace equipoise::coordinator {
namespace {

// Fields of /proc/self/stat behind the program's name, which may have blanks and brackets in it; proc(5) counts from 1.
struct ProcessStat {
  double user_ticks = 0, system_ticks = 0;  // 14, 15
  double threads = 0;                       // 20
  double start_ticks = 0;                   // 22, since the machine was started
  double virtual_bytes = 0;                 // 23
  double resident_pages = 0;                // 24
};

std::optional<ProcessStat> process_stat() {
  const auto text = fields_behind_name("/proc/self/stat");
  if (!text) return std::nullopt;
  std::istringstream fields(*text);
  std::string skipped;
  ProcessStat stat;
  constexpr int kFirst = 3, kLast = 24;
  for (int field = kFirst; field <= kLast; ++field) {
    switch (field) {
      case 14:
        fields >> stat.user_ticks;
        break;
      case 15:
        fields >> stat.system_ticks;
        break;
      case 20:
        fields >> stat.threads;
        break;
      case 22:
        fields >> stat.start_ticks;
        break;
      case 23:
        fields >> stat.virtual_bytes;
        break;
      case 24:
        fields >> stat.resident_pages;
        break;
      default:
        fields >> skipped;
    }
  }
  return fields ? std::optional(stat) : std::nullopt;
}

// Unix time at which the machine was started.
std::optional<double> boot_time() {
  std::ifstream file("/proc/stat");
  for (std::string word; file >> word;) {
    double seconds = 0;
    if (word == "btime" && file >> seconds) return seconds;
  }
  return std::nullopt;
}

// One of them is the iterator's own.
std::optional<double> open_descriptors() {
  std::error_code error;
  std::filesystem::directory_iterator entry("/proc/self/fd", error);
  double count = -1;
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) ++count;
  return error ? std::nullopt : std::optional(count);
}

std::optional<double> most_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::nullopt;
  return static_cast<double>(limit.rlim_cur);
}

void add_family(std::vector<prometheus::MetricFamily>& families, const metrics::Metric& metric,
                std::optional<double> value) {
  if (!value) return;
  prometheus::ClientMetric series;
  const bool is_counter = metric.type == metrics::Type::kCounter;
  (is_counter ? series.counter.value : series.gauge.value) = *value;
  families.push_back({.name = std::string(metric.name),
                      .help = std::string(metric.help),
                      .type = is_counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge,
                      .metric = {series}});
}

}  // namespace

std::vector<prometheus::MetricFamily> process_families() {
  std::vector<prometheus::MetricFamily> families;
  const auto ticks_per_second = static_cast<double>(::sysconf(_SC_CLK_TCK));
  if (const auto stat = process_stat()) {
    add_family(families, metrics::kProcessCpu, (stat->user_ticks + stat->system_ticks) / ticks_per_second);
    add_family(families, metrics::kProcessResident,
               stat->resident_pages * static_cast<double>(::sysconf(_SC_PAGESIZE)));
    add_family(families, metrics::kProcessVirtual, stat->virtual_bytes);
    add_family(families, metrics::kProcessThreads, stat->threads);
    if (const auto boot = boot_time()) {
      add_family(families, metrics::kProcessStartTime, *boot + stat->start_ticks / ticks_per_second);
    }
  }
  add_family(families, metrics::kProcessOpenFds, open_descriptors());
  add_family(families, metrics::kProcessMaxFds, most_descriptors());
  return families;
}

}  // namespace equipoise::coordinator
