#include "worker/model/decoder_config.h"

#include "worker/data/json_file.h"
#include "worker/model/families/family.h"

namespace equipoise {
namespace {

std::string supported_types() {
  std::string list;
  for (const Family& family : kFamilies) list += (list.empty() ? "" : ", ") + std::string(family.model_type);
  return list;
}

}  // namespace

DecoderConfig read_decoder_config(const std::filesystem::path& config_json) {
  ConfigFields fields(config_json.string(), read_json_object(config_json));
  const auto model_type = fields.text("model_type");
  for (const Family& family : kFamilies) {
    if (model_type != family.model_type) continue;
    DecoderConfig config = family.read(fields);
    config.model_type = *model_type;
    ignore_what_computes_nothing(fields);
    fields.refuse_rest();
    return config;
  }
  fields.refuse("model_type", "one of: " + supported_types());
}

}  // namespace equipoise
