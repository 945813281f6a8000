// The hosts of a coordinator, for people.
#pragma once

#include <string>

#include "client/console/console.h"
#include "client/table/text_table.h"
#include "equipoise/v1/host.pb.h"

namespace equipoise {

// A row for each: name, state, slots that are used, slots, failures of the last hour, jobs that run there, and where it
// is cordoned since when and why; with kWide who has cordoned it, a person or its failures.
std::string host_table(const v1::ListHostsResponse& hosts, Colors colors, Glyphs glyphs,
                       TableDetail detail = TableDetail::kUsual);

// "READY", "UNANSWERING", "CORDONED".
std::string host_state_name(v1::HostState state);

}  // namespace equipoise
