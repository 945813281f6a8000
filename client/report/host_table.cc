#include "client/report/host_table.h"

#include <string_view>
#include <utility>
#include <vector>

#include "client/report/job_summary.h"
#include "client/report/state_color.h"
#include "client/table/display_width.h"
#include "client/table/text_table.h"

namespace equipoise {

std::string host_state_name(v1::HostState state) {
  constexpr std::string_view kPrefix = "HOST_STATE_";
  const std::string name = v1::HostState_Name(state);
  return name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : std::to_string(state);
}

namespace {

std::string cordon_cause(const v1::Host& host) {
  if (!host.has_cordon()) return "";
  switch (host.cordon().cause()) {
    case v1::CORDON_CAUSE_FAILURES:
      return "its failures";
    case v1::CORDON_CAUSE_SURVIVOR:
      return "a rank that is left";
    default:
      return "an operator";
  }
}

}  // namespace

std::string host_table(const v1::ListHostsResponse& hosts, Colors colors, Glyphs glyphs, TableDetail detail) {
  const bool is_wide = detail == TableDetail::kWide;
  std::vector<Column> columns = {{"host"},
                                 {"state", Align::kLeft, "", host_state_color},
                                 {"used", Align::kRight},
                                 {"slots", Align::kRight},
                                 {"failures", Align::kRight},
                                 {"jobs"},
                                 {"since"},
                                 {"why"}};
  if (is_wide) columns.push_back({"cordoned by"});
  TextTable table(std::move(columns));
  for (const v1::Host& host : hosts.hosts()) {
    std::string jobs;
    for (const std::string& id : host.job_ids()) jobs += (jobs.empty() ? "" : ", ") + printable(id);
    std::vector<std::string> row = {printable(host.name()),
                                    host_state_name(host.state()),
                                    std::to_string(host.used_slots()),
                                    std::to_string(host.slots()),
                                    std::to_string(host.recent_failures()),
                                    jobs,
                                    host.has_cordon() ? local_time(host.cordon().create_time()) : "",
                                    printable(host.cordon().reason())};
    if (is_wide) row.push_back(cordon_cause(host));
    table.add_row(std::move(row));
  }
  return table.text(colors, glyphs);
}

}  // namespace equipoise
