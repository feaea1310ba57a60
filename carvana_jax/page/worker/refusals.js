// Why a photo is not cut out, in words that follow its name.
class Refusal extends Error {}
