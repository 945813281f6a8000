#include "worker/evaluate/evaluated_pairs.h"

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "worker/objective/group_sums.h"

namespace equipoise {

TextSink::TextSink(std::filesystem::path path) : path_(std::move(path)), file_(std::fopen(path_.c_str(), "we")) {
  if (!file_) fail();
}

void TextSink::write(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), file_.get()) != text.size()) fail();
}

void TextSink::close() {
  if (std::fclose(file_.release()) != 0) fail();
}

void TextSink::fail() const {
  throw std::runtime_error(path_.string() + " cannot be written: " + std::generic_category().message(errno));
}

// write_pairs of evaluated_pairs.h.

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

// write_summary of evaluated_pairs.h.

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
