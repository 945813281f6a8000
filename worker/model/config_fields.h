// Fields of a config.json, taken one by one, so that what nobody took can be refused by name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace equipoise {

// Reading a field takes it. null is the same as absent. Every reader throws std::invalid_argument
// "FILE: field NAME is VALUE, expected ..." for a value it does not accept.
class ConfigFields {
 public:
  // `prefix` stands before the names in messages: "rope_parameters." for a nested object.
  ConfigFields(std::string file, nlohmann::ordered_json object, std::string prefix = "");

  // null, where that means something else than absent.
  bool is_null(std::string_view name) const;

  std::int64_t size(std::string_view name);  // required, in [1, 2^31)
  std::optional<std::int64_t> optional_size(std::string_view name);
  std::optional<std::int64_t> count(std::string_view name);  // in [0, 2^31)
  std::optional<double> positive(std::string_view name);
  std::optional<std::vector<double>> positives(std::string_view name);  // a list of them
  double required_positive(std::string_view name);
  std::optional<bool> flag(std::string_view name);
  std::optional<std::string> text(std::string_view name);
  std::optional<std::vector<std::string>> texts(std::string_view name);
  std::optional<ConfigFields> object(std::string_view name);

  // Takes a field that may be there with this one meaning only.
  void only(std::string_view name, const nlohmann::json& value);
  // Takes fields that do not change what is computed.
  void ignore(std::initializer_list<std::string_view> names);
  // Throws for the first field, other than null, that nobody took.
  void refuse_rest() const;
  [[noreturn]] void refuse(std::string_view name, const std::string& expected) const;

 private:
  const nlohmann::ordered_json* take(std::string_view name);  // nullptr if absent or null
  std::optional<std::int64_t> whole(std::string_view name, std::int64_t least);

  std::string file_;
  nlohmann::ordered_json object_;
  std::string prefix_;
  std::set<std::string, std::less<>> taken_;
};

}  // namespace equipoise
