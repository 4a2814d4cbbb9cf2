/* Looks: named settings of vividness, warmth and saturation, as colourizer/inference/looks.py. */

/* A vividness of null is the photograph's default. */
export const LOOKS = {
  "natural": { "vividness": null, "warmth": 0, "saturation": 1 },
  "vivid": { "vividness": 0.85, "warmth": 0, "saturation": 1.2 },
  "warm": { "vividness": null, "warmth": 0.6, "saturation": 1.05 },
  "cool": { "vividness": null, "warmth": -0.6, "saturation": 1 },
  "faded-print": { "vividness": 0.4, "warmth": 0.6, "saturation": 0.5 },
  "hand-tinted": { "vividness": 0.6, "warmth": 0.3, "saturation": 0.65 },
};

/* The settings of a look, for a photograph. */
export function lookOf(name, photo) {
  const look = LOOKS[name];
  return { ...look, vividness: look.vividness ?? photo.vividness };
}
