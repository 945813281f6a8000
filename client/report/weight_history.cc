#include "client/report/weight_history.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/base/number_text.h"

namespace equipoise {
namespace {

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

class CsvWriter final : public WeightHistoryWriter {
 public:
  explicit CsvWriter(std::ostream& out) : out_(out) {}

  void add(const v1::ListGroupWeightsResponse& page) override {
    if (!titled_) {
      out_ << "step,generation";
      for (const std::string& group : page.group_names()) out_ << "," << csv_field(group);
      out_ << "\n";
      titled_ = true;
    }
    for (const v1::GroupWeightRecord& record : page.records()) {
      out_ << record.step() << "," << record.generation();
      for (const double alpha : record.alpha()) out_ << "," << number_text(alpha);
      out_ << "\n";
    }
  }
  void finish() override {}

 private:
  std::ostream& out_;
  bool titled_ = false;
};

class JsonWriter final : public WeightHistoryWriter {
 public:
  explicit JsonWriter(std::ostream& out) : out_(out) {}

  void add(const v1::ListGroupWeightsResponse& page) override {
    for (const v1::GroupWeightRecord& record : page.records()) {
      nlohmann::ordered_json line = {{"step", record.step()}, {"generation", record.generation()}};
      line["alpha"] = nlohmann::ordered_json::object();
      const int groups = std::min(page.group_names_size(), record.alpha_size());
      for (int g = 0; g < groups; ++g) line["alpha"][page.group_names(g)] = record.alpha(g);
      out_ << (first_ ? "[\n" : ",\n") << line.dump();
      first_ = false;
    }
  }
  void finish() override { out_ << (first_ ? "[]\n" : "\n]\n"); }

 private:
  std::ostream& out_;
  bool first_ = true;
};

}  // namespace

std::unique_ptr<WeightHistoryWriter> make_csv_writer(std::ostream& out) { return std::make_unique<CsvWriter>(out); }
std::unique_ptr<WeightHistoryWriter> make_json_writer(std::ostream& out) { return std::make_unique<JsonWriter>(out); }

}  // namespace equipoise
