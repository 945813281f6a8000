// write_summary of evaluated_pairs.h.
#include <nlohmann/json.hpp>

#include "worker/evaluate/evaluated_pairs.h"
#include "worker/evaluate/text_sink.h"
#include "worker/objective/weighted_mean.h"

namespace equipoise {
namespace {

using Json = nlohmann::ordered_json;

// The pairs of one group, as positions among the scored ones.
struct Part {
  std::vector<std::size_t> position_n;
  std::vector<double> weight_n;  // v_i m[i,g]
  double pairs = 0;              // sum of the memberships
  double dropped = 0;
};

template <class Value>
void add_mean(Json& row, const std::string& name, const Part& part, Value value) {
  std::vector<double> value_n;
  for (const std::size_t i : part.position_n) value_n.push_back(value(i));
  const auto mean = weighted_mean(value_n, part.weight_n);
  if (!mean) return;
  row[name] = mean->mean;
  if (mean->error) row[name + "_error"] = *mean->error;
}

Json row_of(const std::string& name, const Part& part, const EvaluatedPairs& pairs) {
  Json row{{"name", name}, {"pairs", part.pairs}, {"dropped", part.dropped}};
  add_mean(row, "loss", part, [&](std::size_t i) { return pairs.loss_N[i]; });
  if (pairs.rejected == RejectedAnswers::kNone) return row;
  if (!pairs.reference.chosen_N.empty()) {
    add_mean(row, "reward_accuracy", part,
             [&](std::size_t i) { return pairs.chosen_reward_N[i] > pairs.rejected_reward_N[i] ? 1.0 : 0.0; });
  }
  add_mean(row, "logp_accuracy", part,
           [&](std::size_t i) { return pairs.policy.chosen_N[i] > pairs.policy.rejected_N[i] ? 1.0 : 0.0; });
  return row;
}

Part all_pairs(const EncodedDataset& data) {
  Part part;
  for (std::size_t i = 0; i < data.pairs.size(); ++i) {
    part.position_n.push_back(i);
    part.weight_n.push_back(data.pairs[i].weight);
  }
  part.pairs = static_cast<double>(data.pairs.size());
  part.dropped = static_cast<double>(data.pairs.num_dropped());
  return part;
}

std::vector<Part> pairs_by_group(const EncodedDataset& data) {
  std::vector<Part> parts(data.group_names.size());
  for (std::size_t i = 0; i < data.pairs.size(); ++i) {
    const EncodedPair pair = data.pairs[i];
    for (const Membership& membership : pair.memberships) {
      Part& part = parts[membership.group];
      part.position_n.push_back(i);
      part.weight_n.push_back(pair.weight * membership.weight);
      part.pairs += membership.weight;
    }
  }
  for (std::size_t i = 0; i < data.pairs.num_dropped(); ++i) {
    for (const Membership& membership : data.pairs.dropped(i).memberships)
      parts[membership.group].dropped += membership.weight;
  }
  return parts;
}

}  // namespace

void write_summary(const EvaluatedPairs& pairs, const std::filesystem::path& path) {
  Json summary;
  summary["pairs"] = pairs.data.pairs.size();
  summary["dropped"] = pairs.data.pairs.num_dropped();
  summary["shortened"] = pairs.data.num_shortened;
  if (pairs.data.pairs.num_dropped() > 0) summary["dropped_reason"] = pairs.data.pairs.dropped(0).cause.text();
  summary["all"] = row_of("all", all_pairs(pairs.data), pairs);
  summary["groups"] = Json::array();
  const std::vector<Part> parts = pairs_by_group(pairs.data);
  for (std::size_t g = 0; g < parts.size(); ++g) {
    summary["groups"].push_back(row_of(pairs.data.group_names[g], parts[g], pairs));
  }
  TextSink file(path);
  file.write(summary.dump(-1, ' ', false, Json::error_handler_t::replace).append("\n"));
  file.close();
}

}  // namespace equipoise
