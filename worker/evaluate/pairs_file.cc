// write_pairs of evaluated_pairs.h.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "worker/evaluate/evaluated_pairs.h"
#include "worker/evaluate/text_sink.h"

namespace equipoise {
namespace {

// Keys stay in the order of insertion; doubles are written so that reading gives the same bits.
using Json = nlohmann::ordered_json;

// As a data file may have it: a name, a list of names, or an object of memberships.
Json group_value(std::span<const Membership> memberships, const std::vector<std::string>& names) {
  const auto is_whole = [](const Membership& membership) { return membership.weight == 1; };
  if (!std::ranges::all_of(memberships, is_whole)) {
    Json object = Json::object();
    for (const Membership& membership : memberships) object[names[membership.group]] = membership.weight;
    return object;
  }
  if (memberships.size() == 1) return names[memberships.front().group];
  Json list = Json::array();
  for (const Membership& membership : memberships) list.push_back(names[membership.group]);
  return list;
}

Json line_start(std::int64_t index, std::span<const Membership> memberships, const EncodedDataset& data) {
  Json line;
  line["index"] = index;
  line["group"] = group_value(memberships, data.group_names);
  return line;
}

Json scored_line(const EvaluatedPairs& pairs, std::size_t i, std::int64_t index) {
  const EncodedPair pair = pairs.data.pairs[i];
  const bool has_rejected = pairs.rejected == RejectedAnswers::kScored;
  Json line = line_start(index, pair.memberships, pairs.data);
  if (pairs.data.fields.has("weight")) line["weight"] = pair.weight;
  line["policy_chosen_logp"] = pairs.policy.chosen_N[i];
  if (has_rejected) line["policy_rejected_logp"] = pairs.policy.rejected_N[i];
  if (!pairs.reference.chosen_N.empty()) {
    line["reference_chosen_logp"] = pairs.reference.chosen_N[i];
    line["reference_rejected_logp"] = pairs.reference.rejected_N[i];
  }
  line["chosen_tokens"] = pair.chosen_ids.size();
  if (has_rejected) line["rejected_tokens"] = pair.rejected_ids.size();
  line["loss"] = pairs.loss_N[i];
  return line;
}

}  // namespace

void write_pairs(const EvaluatedPairs& pairs, const std::filesystem::path& path) {
  TextSink file(path);
  const auto write = [&](const Json& line) {
    file.write(line.dump(-1, ' ', false, Json::error_handler_t::replace).append("\n"));
  };
  std::int64_t index = 0;
  std::size_t scored = 0;
  for (std::size_t i = 0; i < pairs.data.pairs.num_dropped(); ++i) {
    const DroppedPair dropped = pairs.data.pairs.dropped(i);
    for (; index < dropped.position; ++index) write(scored_line(pairs, scored++, index));
    Json line = line_start(index++, dropped.memberships, pairs.data);
    line["dropped"] = dropped.cause.text();
    write(line);
  }
  for (; scored < pairs.data.pairs.size(); ++index) write(scored_line(pairs, scored++, index));
  file.close();
}

}  // namespace equipoise
