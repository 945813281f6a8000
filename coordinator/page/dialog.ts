// Questions to the user in a dialog: the browser keeps the focus in it, and Escape leaves it.
import { ApiError } from "./api";
import { h, setText } from "./dom";

// `act` is called after a yes; what it throws is shown, and the dialog stays.
export function ask(
  title: string,
  content: (Node | string)[],
  yes: string,
  act: () => Promise<void>,
  isDangerous = false,
): void {
  const trouble = h("p", { class: "trouble", role: "alert" });
  const confirm = h("button", { type: "submit", class: isDangerous ? "danger" : "main" }, yes);
  const form = h(
    "form",
    { method: "dialog" },
    h("h2", { id: "dialog-title" }, title),
    ...content,
    trouble,
    h("div", { class: "buttons" }, h("button", { type: "button", click: () => dialog.close() }, "Back"), confirm),
  );
  const dialog = h("dialog", { "aria-labelledby": "dialog-title" }, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    confirm.disabled = true;
    setText(trouble, "");
    try {
      await act();
      dialog.close();
    } catch (error) {
      setText(
        trouble,
        error instanceof ApiError && error.reason === "ROLE_TOO_LOW"
          ? `Not allowed: ${error.message}.`
          : String((error as Error).message),
      );
    }
    confirm.disabled = false;
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
