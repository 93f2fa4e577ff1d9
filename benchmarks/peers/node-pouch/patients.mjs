// The same patients as benchmarks/patients.py makes.

const FIRST = "Minji Seojun Jiwoo Hayoon Dohyun Bertie Gilberto Noreen Ana Karl".split(" ");
const LAST = "Kim Lee Park Choi Jung Schneider Schulz Miller Okafor Novak".split(" ");
const CITY = "Seoul Busan Daegu Incheon Gwangju Daejeon Ulsan Suwon".split(" ");
const ALLERGY = "penicillin latex peanut shellfish dust mould".split(" ");

const digits = (number, many) => String(number).padStart(many, "0");

export const recordId = (number) => `p-${digits(number, 7)}`;
export const lastName = (number) => `${LAST[number % 10]}${Math.floor(number / 10) % 100}`;
export const phone = (number, edit) => `010-${digits((number * 7919) % 1e7, 7)}-${edit}`;

export function patient(number) {
  const allergies = [];
  for (let nth = 0; nth < number % 3; nth++) allergies.push(ALLERGY[(number + 2 * nth) % 6]);
  return {
    _id: recordId(number),
    first: `${FIRST[number % 10]}${number % 1000}`,
    last: lastName(number),
    birthdate: `${1930 + (number % 90)}-${digits(1 + (number % 12), 2)}-${digits(1 + (number % 28), 2)}`,
    gender: "FM"[number % 2],
    phone: phone(number, 0),
    address: `${number % 997} Reinger Mews ${number % 89}`,
    city: CITY[number % 8],
    zip: digits((number * 7919) % 100000, 5),
    ward: `ward ${number % 40}`,
    allergies,
  };
}

// The same numbers as spread_over() of benchmarks/patients.py.
export function spreadOver(count, records) {
  const step = records % 7919 ? 7919 : 7907;
  return Array.from({ length: count }, (_, number) => (number * step) % records);
}

export const range = (from, to) => Array.from({ length: to - from }, (_, n) => from + n);
