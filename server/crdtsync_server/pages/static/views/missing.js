// An address that the pages do not have.

import { h } from "../dom.js";
import { empty, loaded, page } from "../page.js";
import { address } from "../parts/links.js";
import { t } from "../words.js";

export async function view(ctx) {
  page(ctx, { title: t("missing_title") });
  loaded(ctx, empty(t("missing_words"), null, h("p", {}, h("a", { href: address("") }, t("nav_dashboard")))));
}
