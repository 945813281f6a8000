"""One example of each recipe of docs/development.md: the edits that add it, as (file, anchor, text in front of it).

An anchor of None makes the file. SECTION and FAMILY of a recipe's files are the example's."""
import dataclasses


@dataclasses.dataclass
class Recipe:
    title: str  # the recipe's first words in docs/development.md
    names: dict  # what its placeholders are here
    edits: list


PROTO = 'proto/equipoise/v1/job.proto'

SETTING = Recipe('A setting of a job', {'SECTION': 'logging'}, [
    (PROTO, '  // Lines at exactly these numbers', '''  // Digits of a number.
  // Range: 1 to 17.
  // Unit: digits.
  // Absent: 17.
  optional int32 digits = 900;
'''),
    ('common/config/logging_config.h', '  std::vector<std::int64_t> at_steps;', '  std::int64_t digits = 17;\n'),
    ('common/config/logging_config.cc', '  for (const std::int64_t step : spec.at_steps())',
     '  if (spec.has_digits()) config.digits = checked_integer("logging.digits", spec.digits(), {1, 17});\n'),
    ('common/config/logging_config.cc', '  if (config.at_steps.empty()) spec.set_every_steps',
     '  spec.set_digits(static_cast<std::int32_t>(config.digits));\n'),
])

PAIR_LOSS = Recipe('A pair loss', {}, [
    (PROTO, '}\n\nenum SftAverage {', '''  // exp(-beta h).
  LOSS_TYPE_EXPONENTIAL = 6;
'''),
    ('common/config/loss_config.h', ' };\nenum class SftAverage', ', kExponential'),
    ('common/config/loss_config.h', '};\nconstexpr const LossTraits& traits_of',
     ',\n    LossTraits{.type = LossType::kExponential, .name = "exponential"}'),
    ('worker/objective/pair_loss.cc', 'using LossOfMargin = ',
     '''torch::Tensor exponential(const LossConfig& loss, const torch::Tensor& h) { return torch::exp(-loss.beta * h); }

'''),
    ('worker/objective/pair_loss.cc', '    case LossType::kSft:\n',
     '    case LossType::kExponential:\n      return exponential;\n'),
])

AMBIGUITY_SET = Recipe('An ambiguity set', {}, [
    (PROTO, '}\n\n// b_g, what a group', '''  // 1/2 sum_g |alpha_g - p_g| <= radius.
  AMBIGUITY_SET_TOTAL_VARIATION = 5;
'''),
    (PROTO, '  // b_g that is subtracted', '''  // How far alpha may be from the groups' shares.
  // Range: [0, 1].
  // Unit: none.
  // Required with `total_variation`.
  optional double radius = 900;
'''),
    ('common/robust/robust_settings.h', ' };\n\nenum class WeightUpdate', ', kTotalVariation'),
    ('common/robust/robust_settings.h', '  double step_size = 0.01;', '  double radius = 0.0;  // kTotalVariation: in [0, 1]\n'),
    ('common/config/robust_config.cc', '}));\nstatic_assert(same_enums<v1::Baseline, Baseline>',
     ',\n    {v1::AMBIGUITY_SET_TOTAL_VARIATION, AmbiguitySet::kTotalVariation}'),
    ('common/config/robust_config.cc', '};\n\nstd::string name_of(AmbiguitySet set)',
     ''',
    {AmbiguitySet::kTotalVariation, "robust.radius", kUnitInterval, &RobustSettings::radius, &Spec::has_radius,
     &Spec::radius, &Spec::set_radius}'''),
    ('common/robust/ambiguity_sets.cc', 'std::vector<double> closed_form_weights(',
     '''// The best groups give up `radius` of their share to the worst one.
static std::vector<double> total_variation_weights(const GroupRisk& risk, double radius) {
  check_risk(risk);
  if (!(radius >= 0 && radius <= 1)) throw std::invalid_argument("radius is not in [0, 1]");
  const std::vector<std::size_t> groups = rank(risk).groups;
  std::vector<double> weight_K(risk.share_K.begin(), risk.share_K.end());
  for (std::size_t i = groups.size() - 1; i > 0; --i) {
    const double moved = std::min(radius, weight_K[groups[i]]);
    weight_K[groups[i]] -= moved;
    weight_K[groups[0]] += moved;
    radius -= moved;
  }
  return weight_K;
}

'''),
    ('common/robust/ambiguity_sets.cc', '    case AmbiguitySet::kSimplex:\n',
     '''    case AmbiguitySet::kTotalVariation:
      return total_variation_weights(risk, settings.radius);
'''),
])

FAMILY = Recipe('A model family', {'FAMILY': 'olmo'}, [
    ('worker/model/families/olmo.cc', None, '''// An example: Llama's function under another name, with a field of its own that must be off.
#include "worker/model/families/family.h"

namespace equipoise {

DecoderConfig read_olmo(ConfigFields& fields) {
  fields.only("clip_qkv", false);
  return read_llama(fields);
}

}  // namespace equipoise
'''),
    ('worker/model/families/family.h', '\nstruct Family {', 'DecoderConfig read_olmo(ConfigFields& fields);\n'),
    ('worker/model/families/family.h', '};\n\n// Takes the fields of any family', ', {"olmo", read_olmo}'),
    ('worker/model/families/CMakeLists.txt', 'phi3.cc', 'olmo.cc '),
])

ALL = (SETTING, PAIR_LOSS, AMBIGUITY_SET, FAMILY)
