#include "client/report/host_table.h"

#include <string_view>

#include "client/report/job_summary.h"
#include "client/table/display_width.h"
#include "client/table/text_table.h"

namespace equipoise {

std::string host_state_name(v1::HostState state) {
  constexpr std::string_view kPrefix = "HOST_STATE_";
  const std::string name = v1::HostState_Name(state);
  return name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : std::to_string(state);
}

std::string host_table(const v1::ListHostsResponse& hosts, Colors colors, Glyphs glyphs) {
  TextTable table({{"host"},
                   {"state"},
                   {"used", Align::kRight},
                   {"slots", Align::kRight},
                   {"failures", Align::kRight},
                   {"jobs"},
                   {"since"},
                   {"why"}});
  for (const v1::Host& host : hosts.hosts()) {
    std::string jobs;
    for (const std::string& id : host.job_ids()) jobs += (jobs.empty() ? "" : ", ") + printable(id);
    table.add_row({printable(host.name()), host_state_name(host.state()), std::to_string(host.used_slots()),
                   std::to_string(host.slots()), std::to_string(host.recent_failures()), jobs,
                   host.has_cordon() ? local_time(host.cordon().create_time()) : "",
                   printable(host.cordon().reason())});
  }
  return table.text(colors, glyphs);
}

}  // namespace equipoise
