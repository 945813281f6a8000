#include "client/report/rank_table.h"

#include <chrono>

#include "client/table/display_width.h"
#include "client/table/number_format.h"
#include "client/table/text_table.h"
#include "common/protocol/rank_phase.h"

namespace equipoise {
namespace {

std::string time_text(const google::protobuf::Duration& duration) {
  return duration_text(std::chrono::seconds(duration.seconds()));
}

}  // namespace

std::string rank_table(const v1::ListRanksResponse& ranks, Colors colors, Glyphs glyphs) {
  TextTable table({{"rank", Align::kRight},
                   {"host"},
                   {"pid", Align::kRight},
                   {"phase"},
                   {"step", Align::kRight},
                   {"silent for", Align::kRight},
                   {"stalled for", Align::kRight},
                   {"last collective"}});
  for (const v1::RankStatus& rank : ranks.ranks()) {
    table.add_row({std::to_string(rank.rank()), printable(rank.host()), std::to_string(rank.pid()),
                   phase_name(rank.phase()), std::to_string(rank.step()), time_text(rank.silent_for()),
                   time_text(rank.stalled_for()), printable(rank.last_collective())});
  }
  return table.text(colors, glyphs);
}

}  // namespace equipoise
