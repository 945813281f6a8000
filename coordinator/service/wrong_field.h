// Which field of a request a refusal is about, for programs.
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>
#include <string_view>

namespace equipoise::coordinator {

// The field of a `request` that `text` begins with, as such texts do ("loss.beta is -1, expected > 0"), as its path
// from the request: a job's and its settings' have `spec.` and `settings.` before them. Empty: it begins with none.
std::string wrong_field(std::string_view text, const google::protobuf::Descriptor& request);

}  // namespace equipoise::coordinator
