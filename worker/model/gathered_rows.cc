#include "worker/model/gathered_rows.h"

#include <torch/csrc/autograd/custom_function.h>

#include "worker/model/wide_type.h"

namespace equipoise {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// index_select's own gradient adds atomically on a GPU, in an order that changes from run to run, and one row after the
// other on a CPU. Here it is a selection too, where rows are used once.
struct GatheredRows : torch::autograd::Function<GatheredRows> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x_RF, const RowUses& uses) {
    variable_list saved;
    for (const RowUses::Round& round : uses.rounds) {
      saved.push_back(round.row_R);
      saved.push_back(round.place_R);
    }
    context->save_for_backward(saved);
    context->saved_data["num_rows"] = uses.num_rows;
    return x_RF.index_select(0, uses.row_N);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const torch::Tensor& gradient_NF = gradients[0];
    const std::int64_t num_rows = context->saved_data["num_rows"].toInt();
    torch::Tensor sum_RF = gradient_NF.index_select(0, saved[1]);
    if (saved[0].size(0) != num_rows) {
      sum_RF = torch::zeros({num_rows, gradient_NF.size(1)}, gradient_NF.options()).index_copy_(0, saved[0], sum_RF);
    }
    if (saved.size() == 2) return {sum_RF, {}};
    sum_RF = sum_RF.to(wide_type(gradient_NF.scalar_type()));
    for (std::size_t round = 2; round < saved.size(); round += 2) {
      sum_RF.index_add_(0, saved[round], gradient_NF.index_select(0, saved[round + 1]).to(sum_RF.scalar_type()));
    }
    return {sum_RF.to(gradient_NF.scalar_type()), {}};
  }
};

}  // namespace

torch::Tensor gathered_rows(const torch::Tensor& x, const RowUses& uses) {
  const torch::Tensor x_RF = x.flatten(1);
  return uses.row_N.defined() ? GatheredRows::apply(x_RF, uses) : x_RF;
}

}  // namespace equipoise
