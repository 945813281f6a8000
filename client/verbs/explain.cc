#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>

#include "client/command_line/result_output.h"
#include "client/command_line/verb.h"
#include "client/table/display_width.h"
#include "client/table/json_document.h"
#include "client/table/text_table.h"
#include "common/base/message_text.h"
#include "common/robust/shares_file.h"

namespace equipoise {
namespace {

struct ExplainFlags {
  std::filesystem::path run;
  std::int64_t step = 0;
  std::string group;
  ResultFlags result;
};

double move_of(const GroupShares& group) { return std::abs(group.alpha_after - group.alpha_before); }

std::string short_number(const char* format, double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

std::string percent_of(double share, double sum) {
  return std::isfinite(share / sum) ? short_number("%.1f %%", 100 * share / sum) : "-";
}

std::string pair_name(const SharesHeader& header, const PairShare& pair) {
  const std::string file = pair.file < header.files.size() ? header.files[pair.file] : "?";
  return std::filesystem::path(file).filename().string() + ", row " + std::to_string(pair.row);
}

nlohmann::json explained_json(const SharesHeader& header, const SharesBlock& block) {
  nlohmann::json groups = nlohmann::json::array();
  for (const GroupShares& group : block.groups) {
    nlohmann::json top = nlohmann::json::array();
    for (const PairShare& pair : group.top) {
      const nlohmann::json file = pair.file < header.files.size() ? nlohmann::json(header.files[pair.file]) : nullptr;
      top.push_back({{"file", file}, {"row", pair.row}, {"share", pair.share}});
    }
    groups.push_back({{"group", header.groups.at(group.group)},
                      {"step", group.step},
                      {"weight_before", group.alpha_before},
                      {"weight_after", group.alpha_after},
                      {"loss_sum", group.loss_sum},
                      {"pair_count", group.pair_count},
                      {"pairs", group.pairs},
                      {"top", std::move(top)},
                      {"rest", group.rest}});
  }
  return {{"first_step", block.first}, {"last_step", block.last}, {"groups", std::move(groups)}};
}

std::string groups_text(const SharesHeader& header, const SharesBlock& block, const Console& console) {
  TextTable table({{"group"},
                   {"step", Align::kRight},
                   {"weight before", Align::kRight},
                   {"after", Align::kRight},
                   {"S_g", Align::kRight},
                   {"n_g", Align::kRight}});
  for (const GroupShares& group : block.groups) {
    table.add_row({printable(header.groups.at(group.group)), std::to_string(group.step),
                   short_number("%.6f", group.alpha_before), short_number("%.6f", group.alpha_after),
                   short_number("%.6g", group.loss_sum), short_number("%.6g", group.pair_count)});
  }
  return table.text(console.colors, console.glyphs);
}

std::string pairs_text(const SharesHeader& header, const GroupShares& group, const Console& console) {
  TextTable table({{"pair"}, {"share of S_g", Align::kRight}, {"part", Align::kRight}});
  for (const PairShare& pair : group.top) {
    table.add_row(
        {printable(pair_name(header, pair)), short_number("%.6g", pair.share), percent_of(pair.share, group.loss_sum)});
  }
  const auto others = static_cast<std::size_t>(group.pairs) - group.top.size();
  if (others > 0) {
    table.add_row({counted(static_cast<std::int64_t>(others), "other pair"), short_number("%.6g", group.rest),
                   percent_of(group.rest, group.loss_sum)});
  }
  return "\n" + printable(header.groups.at(group.group)) + " at step " + std::to_string(group.step) + "\n" +
         table.text(console.colors, console.glyphs);
}

std::string explained_text(const ExplainFlags& flags, const SharesHeader& header, const SharesBlock& block,
                           const Console& console) {
  const std::string steps = "steps " + std::to_string(block.first) + " to " + std::to_string(block.last);
  if (block.groups.empty()) return printable(flags.group) + " was in no batch of " + steps + "\n";
  std::string text;
  if (block.first < block.last) text = "Of " + steps + " each group's step of the largest move is kept.\n\n";
  return text + groups_text(header, block, console) + pairs_text(header, block.groups.front(), console);
}

void explain_run(const ExplainFlags& flags, const Console& console) {
  std::string why;
  const auto reader = SharesReader::open(flags.run, why);
  if (!reader) throw std::invalid_argument("RUN: " + flags.run.string() + ": " + why);
  const std::int64_t number = reader->find(flags.step);
  auto block = number < 0 ? std::nullopt : reader->block(number);
  if (!block) {
    const auto newest = reader->blocks() > 0 ? reader->block(reader->blocks() - 1) : std::nullopt;
    throw std::invalid_argument("--step " + std::to_string(flags.step) + " is none that the run has kept" +
                                (newest ? ", its last one is " + std::to_string(newest->last) : ""));
  }
  const SharesHeader& header = reader->header();
  std::erase_if(block->groups, [&](const GroupShares& group) {
    return group.group >= header.groups.size() || (!flags.group.empty() && header.groups[group.group] != flags.group);
  });
  if (!flags.group.empty() && std::ranges::find(header.groups, flags.group) == header.groups.end()) {
    throw std::invalid_argument("--group " + flags.group + " is no group of the run");
  }
  std::ranges::stable_sort(block->groups, std::greater<>(), move_of);
  const auto text = [&] { return explained_text(flags, header, *block, console); };
  const auto json = [&] { return json_document(explained_json(header, *block)); };
  flags.result.print({.text = text, .json = json}, console);
}

}  // namespace

void add_explain_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<ExplainFlags>();
  CLI::App* verb =
      parent.add_subcommand("explain", "Why the group weights moved in a step, and which pairs moved them");
  verb->add_option("RUN", flags->run, "Folder of the run: its job's `output`")->type_name("")->required();
  verb->add_option("--step", flags->step, "As metrics.jsonl counts them, from 1")->type_name("N")->required();
  verb->add_option("--group", flags->group, "This one alone; without it the pairs are those of the largest move")
      ->type_name("NAME");
  flags->result.add_to(*verb);
  verb->footer(
      "Of each group: its weight before and after the step, S_g, n_g, and the pairs with the largest shares of S_g.\n"
      "Reads pair_shares.bin, which language models with group weights that move keep (logging.pair_shares_mib).\n"
      "Exit code: 0 done, 2 there is no such step, group or file.\n"
      "\n"
      "  equipoise explain runs/gr-dpo --step 57 --group India");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { explain_run(*flags, console); }; });
}

}  // namespace equipoise
