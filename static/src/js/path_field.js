import {CharField, charField} from "@web/views/fields/char/char_field";
import {ModelFieldSelectorPopover} from "@web/core/model_field_selector/model_field_selector_popover";
import {_t} from "@web/core/l10n/translation";
import {registry} from "@web/core/registry";
import {usePopover} from "@web/core/popover/popover_hook";
import {useService} from "@web/core/utils/hooks";

const OF_RECORD = ["record_field", "list"];
const SEVERAL = ["one2many", "many2many"];

/**
 * A path over fields: typed, or chosen in Odoo's field selector.
 *
 * Odoo's own widget takes names of fields alone. Our paths have more: `*` for all
 * records of a relation, an index for one of them, keys of JSON values.
 */
export class PathField extends CharField {
  static template = "bwt_webhooks_outbound.PathField";
  static props = {
    ...CharField.props,
    modelField: {type: String},
    isOrder: {type: Boolean, optional: true},
  };

  setup() {
    super.setup();
    this.fieldService = useService("field");
    this.notification = useService("notification");
    this.chosen = null;
    this.popover = usePopover(ModelFieldSelectorPopover, {
      popoverClass: "o_popover_field_selector",
      onClose: () => this.keep(),
    });
  }

  get model() {
    return this.props.record.data[this.props.modelField];
  }

  get canChoose() {
    const kind = this.props.record.data.source_kind;
    return Boolean(this.model) || OF_RECORD.includes(kind);
  }

  async choose() {
    const model = this.model;
    if (!model) {
      this.notification.add(
        _t(
          "It isn't known yet which model the records have. Choose a sample record, or type the path."
        ),
        {type: "info"}
      );
      return;
    }
    this.chosen = null;
    // Fields alone: the selector knows neither `*` nor an index.
    const names = this.props.isOrder ? [] : this.input.el.value.split(".");
    const path = names.filter((name) => name !== "*" && !/^\d+$/.test(name)).join(".");
    const isValid = path && !(await this.fieldService.loadPath(model, path)).isInvalid;
    this.popover.open(this.input.el, {
      resModel: model,
      path: isValid ? path : "",
      update: (found) => {
        this.chosen = {model, path: found};
      },
      filter: (field) => this.isOffered(field),
      followRelations: !this.props.isOrder,
      showSearchInput: true,
      isDebugMode: true, // Shows technical names, which paths consist of.
      showDebugInput: false,
    });
  }

  isOffered(field) {
    if (["separator", "properties"].includes(field.type)) {
      return false;
    }
    const isSorted = field.store && !field.relation && field.type !== "binary";
    return !this.props.isOrder || isSorted;
  }

  async keep() {
    const chosen = this.chosen;
    this.chosen = null;
    if (!chosen?.path) {
      return;
    }
    let value = null;
    if (this.props.isOrder) {
      const before = this.input.el.value.trim().replace(/,$/, "");
      value = before ? `${before}, ${chosen.path}` : chosen.path;
    } else {
      value = await this.withStars(chosen.model, chosen.path);
    }
    this.input.el.value = value;
    await this.props.record.update({[this.props.name]: value});
  }

  /** A path of field names, with `*` behind each relation to several records. */
  async withStars(model, path) {
    const {modelsInfo, names} = await this.fieldService.loadPath(model, path);
    const parts = names.map((name, index) => {
      const isSeveral = SEVERAL.includes(modelsInfo[index]?.fieldDefs[name]?.type);
      return isSeveral && index < names.length - 1 ? `${name}.*` : name;
    });
    return parts.join(".");
  }
}

registry.category("fields").add("webhook_path", {
  ...charField,
  component: PathField,
  displayName: _t("Field Path"),
  supportedTypes: ["char"],
  fieldDependencies: ({options}) => [
    {name: options.model || "path_model", type: "char", readonly: true},
    {name: "source_kind", type: "selection"},
  ],
  extractProps: (fieldInfo, dynamicInfo) => ({
    ...charField.extractProps(fieldInfo, dynamicInfo),
    modelField: fieldInfo.options.model || "path_model",
    isOrder: Boolean(fieldInfo.options.is_order),
  }),
});
