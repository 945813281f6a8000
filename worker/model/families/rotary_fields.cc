#include "worker/model/families/rotary_fields.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>

namespace equipoise {
namespace {

// One rope object with the fields around it.
struct Rope {
  ConfigFields& fields;  // of the model
  ConfigFields& own;     // of rope_scaling or rope_parameters, which may be the model's
};

void read_default(Rope&, RotaryTable&) {}

void read_linear(Rope& rope, RotaryTable& table) { table.divisor = rope.own.required_positive("factor"); }

// As default up to max_position_embeddings.
void read_dynamic(Rope& rope, RotaryTable& table) {
  rope.own.required_positive("factor");
  table.longest_sequence = rope.fields.size("max_position_embeddings");
}

void read_llama3(Rope& rope, RotaryTable& table) {
  Llama3Scaling scaling;
  scaling.factor = rope.own.required_positive("factor");
  scaling.low_freq_factor = rope.own.required_positive("low_freq_factor");
  scaling.high_freq_factor = rope.own.required_positive("high_freq_factor");
  if (scaling.high_freq_factor <= scaling.low_freq_factor) {
    rope.own.refuse("high_freq_factor", "a number above low_freq_factor");
  }
  const auto original = rope.own.optional_size("original_max_position_embeddings");
  scaling.original_positions = static_cast<double>(original ? *original : rope.fields.size("max_position_embeddings"));
  table.llama3 = scaling;
}

// The short factors, for sequences up to original_max_position_embeddings.
// Source: Ding et al. 2024 (arXiv:2402.13753); the magnitude is sqrt(1 + log(extension) / log(original)).
void read_longrope(Rope& rope, RotaryTable& table) {
  constexpr std::int64_t kPhi3Original = 4096;
  const auto factors = [&](const char* name) {
    auto values = rope.own.positives(name);
    if (!values || std::ssize(*values) != table.dim / 2) {
      rope.own.refuse(name, "a list of " + std::to_string(table.dim / 2) + " numbers above 0");
    }
    return *values;
  };
  table.divisor_F = factors("short_factor");
  factors("long_factor");
  const std::int64_t original = rope.fields.optional_size("original_max_position_embeddings").value_or(kPhi3Original);
  if (rope.own.optional_size("original_max_position_embeddings").value_or(original) != original) {
    rope.own.refuse("original_max_position_embeddings",
                    std::to_string(original) + ", as the model's field of that name");
  }
  if (original < 2) rope.fields.refuse("original_max_position_embeddings", "2 or more");
  const auto positions = [&] { return static_cast<double>(rope.fields.size("max_position_embeddings")); };
  const auto given = rope.own.positive("factor");
  const double extension = given ? *given : positions() / static_cast<double>(original);
  const double usual = extension <= 1 ? 1 : std::sqrt(1 + std::log(extension) / std::log(original));
  table.magnitude = rope.own.positive("attention_factor").value_or(usual);
  table.longest_sequence = original;
}

// Sources: Peng et al. 2023, "YaRN" (arXiv:2309.00071), as transformers 5.24 computes it.
double yarn_magnitude(Rope& rope, double factor) {
  const auto usual = [factor](double scale) { return factor <= 1 ? 1 : 0.1 * scale * std::log(factor) + 1; };
  const auto given = rope.own.positive("attention_factor"), scale = rope.own.positive("mscale");
  const auto all_dimensions = rope.own.positive("mscale_all_dim");
  if (given) return *given;
  return scale && all_dimensions ? usual(*scale) / usual(*all_dimensions) : usual(1);
}

// Dimensions whose wave turns beta_fast times or more over the original positions stay, those that turn beta_slow times
// or less are stretched by `factor`, and between them the share of the stretched rises with the dimension.
void read_yarn(Rope& rope, RotaryTable& table) {
  constexpr double kFast = 32, kSlow = 1, kNoDivisionByZero = 0.001;
  const double factor = rope.own.required_positive("factor");
  const double fast = rope.own.positive("beta_fast").value_or(kFast);
  const double slow = rope.own.positive("beta_slow").value_or(kSlow);
  const auto given = rope.own.optional_size("original_max_position_embeddings");
  const auto original = static_cast<double>(given ? *given : rope.fields.size("max_position_embeddings"));
  if (table.theta <= 1) rope.fields.refuse("rope_theta", "a number above 1");
  const bool whole = rope.own.flag("truncate").value_or(true);
  const auto dim = static_cast<double>(table.dim);
  const auto dimension_that_turns = [&](double times) {
    return dim * std::log(original / (times * 2 * std::numbers::pi)) / (2 * std::log(table.theta));
  };
  double low = dimension_that_turns(fast), high = dimension_that_turns(slow);
  if (whole) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0), high = std::min(high, dim - 1);
  if (low == high) high += kNoDivisionByZero;
  for (std::int64_t j = 0; j < table.dim / 2; ++j) {
    const double stretched = std::clamp((static_cast<double>(j) - low) / (high - low), 0.0, 1.0);
    table.divisor_F.push_back(1 / (1 - stretched + stretched / factor));
  }
  table.magnitude = yarn_magnitude(rope, factor);
}

struct RopeType {
  const char* name;
  void (*read)(Rope& rope, RotaryTable& table);
};
constexpr RopeType kWholeHeadTypes[] = {{"default", read_default},
                                        {"linear", read_linear},
                                        {"dynamic", read_dynamic},
                                        {"llama3", read_llama3},
                                        {"yarn", read_yarn}};
constexpr RopeType kPhi3Types[] = {{"default", read_default}, {"longrope", read_longrope}, {"su", read_longrope}};

std::span<const RopeType> types_of(RotaryKind kind) {
  return kind == RotaryKind::kPhi3 ? std::span<const RopeType>(kPhi3Types) : kWholeHeadTypes;
}

// rope_type, or type as it was called first.
void read_type(Rope& rope, RotaryKind kind, RotaryTable& table) {
  const auto type = rope.own.text("rope_type"), old = rope.own.text("type");
  if (type && old && *type != *old) rope.own.refuse("type", "the same as rope_type");
  table.type = type ? *type : old.value_or("default");
  std::string known;
  for (const RopeType& candidate : types_of(kind)) {
    if (table.type == candidate.name) return candidate.read(rope, table);
    known += (known.empty() ? "" : ", ") + std::string(candidate.name);
  }
  rope.own.refuse(type ? "rope_type" : "type", "one of: " + known);
}

// The same number beside the other fields and in the rope object, or in one of both.
std::optional<double> number_of(Rope& rope, const char* name) {
  const auto outer = rope.fields.positive(name), inner = rope.own.positive(name);
  if (outer && inner && *outer != *inner) rope.fields.refuse(name, "the same as in the rope object");
  return inner ? inner : outer;
}

std::int64_t turned_dimensions(Rope& rope, std::int64_t head_dim, RotaryKind kind) {
  const double part = number_of(rope, "partial_rotary_factor").value_or(1);
  const auto dim = static_cast<std::int64_t>(static_cast<double>(head_dim) * part);
  const bool is_possible = part <= 1 && dim >= 2 && dim % 2 == 0;
  if (!is_possible || (kind == RotaryKind::kWholeHead && part != 1)) {
    rope.fields.refuse("partial_rotary_factor",
                       kind == RotaryKind::kPhi3 ? "a number up to 1 that leaves an even number of dimensions" : "1");
  }
  return dim;
}

RotaryTable read_table(Rope rope, std::int64_t head_dim, RotaryKind kind, double default_theta) {
  RotaryTable table;
  table.theta = rope.own.positive("rope_theta").value_or(default_theta);
  table.dim = turned_dimensions(rope, head_dim, kind);
  read_type(rope, kind, table);
  return table;
}

constexpr double kDefaultTheta = 10000;

// rope_scaling or rope_parameters; an empty object where there is neither.
ConfigFields rope_object(ConfigFields& fields) {
  auto scaling = fields.object("rope_scaling"), parameters = fields.object("rope_parameters");
  if (scaling && parameters) fields.refuse("rope_scaling", "nothing, as there is rope_parameters");
  if (scaling) return *scaling;
  return parameters ? *parameters : ConfigFields("", nlohmann::ordered_json::object());
}

}  // namespace

RotaryTable read_rotary(ConfigFields& fields, std::int64_t head_dim, RotaryKind kind) {
  ConfigFields own = rope_object(fields);
  Rope rope{.fields = fields, .own = own};
  const double theta = number_of(rope, "rope_theta").value_or(kDefaultTheta);
  RotaryTable table = read_table(rope, head_dim, kind, theta);
  own.refuse_rest();
  return table;
}

RotaryTables read_rotary_by_layer_type(ConfigFields& fields, std::int64_t head_dim) {
  constexpr double kDefaultFullTheta = 1e6;
  const double full_theta = fields.positive("rope_theta").value_or(kDefaultFullTheta);
  const double sliding_theta = fields.positive("rope_local_base_freq").value_or(kDefaultTheta);
  const auto read = [&](ConfigFields own, double theta) {
    RotaryTable table = read_table({.fields = fields, .own = own}, head_dim, RotaryKind::kWholeHead, theta);
    own.refuse_rest();
    return table;
  };
  const ConfigFields nothing("", nlohmann::ordered_json::object());
  auto scaling = fields.object("rope_scaling"), parameters = fields.object("rope_parameters");
  if (scaling && parameters) fields.refuse("rope_scaling", "nothing, as there is rope_parameters");
  if (!parameters)
    return {.full = read(scaling.value_or(nothing), full_theta), .sliding = read(nothing, sliding_theta)};
  RotaryTables tables{.full = read(parameters->object("full_attention").value_or(nothing), full_theta),
                      .sliding = read(parameters->object("sliding_attention").value_or(nothing), sliding_theta)};
  parameters->refuse_rest();
  return tables;
}

}  // namespace equipoise
