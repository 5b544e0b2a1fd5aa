-- Prints what its argument comes to, such as "2 * (3 + 4)".
local lpeg = require "lpeg"

local space = lpeg.S(" \t") ^ 0
local number = lpeg.C(lpeg.R("09") ^ 1) / math.tointeger * space
local function operator(set) return lpeg.C(lpeg.S(set)) * space end

local function calculate(left, operation, right)
  if operation == "+" then return left + right end
  if operation == "-" then return left - right end
  if operation == "*" then return left * right end
  return left // right
end

local expression = lpeg.V("sum")
local grammar = lpeg.P {
  space * expression * -1,
  sum = lpeg.Cf(lpeg.V("product") * lpeg.Cg(operator("+-") * lpeg.V("product")) ^ 0, calculate),
  product = lpeg.Cf(lpeg.V("atom") * lpeg.Cg(operator("*/") * lpeg.V("atom")) ^ 0, calculate),
  atom = number + "(" * space * expression * ")" * space,
}

local result = grammar:match(arg[1] or "")
if result == nil then
  io.stderr:write("usage: calculator EXPRESSION\n")
  os.exit(2)
end
print(result)
